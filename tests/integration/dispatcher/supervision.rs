//! A performer that ends though nobody told it to.

use brighter_tests::wait::until_eq;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;

/// A log that panics on the first warnings, as a broken one may: it takes the performer that warns with it.
struct BrokenLog(AtomicUsize);

impl Subscriber for BrokenLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let warns = *event.metadata().level() == Level::WARN;
        let left = |left: usize| left.checked_sub(1);
        if warns
            && self
                .0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
                .is_ok()
        {
            panic!("the disk of the log is full");
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_failed_performer_restarts_with_back_off_and_is_counted() {
    let _log = brighter_tests::subscriber::subscribe(BrokenLog(AtomicUsize::new(3)));
    let app = App::new(Hand::free(), [chores()]);
    app.broker.lose_connection();
    app.dispatcher.receive();
    let began = tokio::time::Instant::now();
    app.until("chores", |status| status.restarts == 3).await;
    // 100 ms, then 200 ms, before the second and the third could end.
    assert!(began.elapsed() >= Duration::from_millis(300));
    let said = app.status("chores").last_error.unwrap();
    assert!(said.contains("the disk of the log is full"), "{said}");
    assert!(!app.dispatcher.is_ready(), "and nobody is told otherwise");
    app.broker.restore_connection();
    app.dispatcher.wait_until_consuming().await;
    app.post(1).await;
    until_eq("done", 1, || app.hand.done()).await;
    assert_eq!(app.status("chores").restarts, 3);
}
