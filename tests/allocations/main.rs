//! How often the hot paths allocate: counts, which a busy machine does not change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use brighter::prelude::*;

#[derive(Debug, Command)]
struct Nothing;

struct Does;

#[handler]
impl Handler<Nothing> for Does {
    #[request_logging(step = 1)]
    #[use_policy(circuit_breaker, step = 2)]
    #[use_policy(retry, step = 3)]
    async fn handle(&self, _: &Nothing) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
}

#[test]
fn send_through_three_steps_allocates_at_most_three_times() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let processor = CommandProcessor::builder().handler(Does).build().unwrap();
    let send = || {
        futures_util::FutureExt::now_or_never(processor.send(Nothing))
            .unwrap()
            .unwrap()
    };
    send();
    let counted = allocation_counter::measure(|| (0..100).for_each(|_| send()));
    assert!(
        counted.count_total <= 300,
        "{} allocations for 100 commands",
        counted.count_total
    );
    assert_eq!(counted.count_current, 0, "nothing is kept");
}
