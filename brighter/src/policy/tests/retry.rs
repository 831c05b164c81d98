use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::{Layer, ServiceExt};

use super::*;
use crate::policy::{Retry, RetryBudget};

#[tokio::test(start_paused = true)]
async fn nothing_that_a_policy_may_not_touch_is_tried_again() {
    let retry = Retry::attempts(9).fixed(SECOND).when(|_| true);
    for (index, error) in untouchables().into_iter().enumerate() {
        let error = Arc::new(Mutex::new(Some(error)));
        let service = Policy::from(retry.clone())
            .layer_named("test")
            .layer(tower::service_fn({
                let error = Arc::clone(&error);
                move |_: Call<()>| {
                    let error = error.lock().unwrap().take();
                    async move { error.map_or(Ok(()), Err) }
                }
            }));
        assert!(send(&service).await.is_err(), "number {index} was tried again");
    }
}

#[tokio::test(start_paused = true)]
async fn when_takes_from_what_is_tried_again() {
    let script = Script::failing(2);
    let service = script.behind(Retry::attempts(3).when(|error| error.report().contains("disk")));
    send(&service).await.unwrap_err();
    assert_eq!(script.calls(), 1);
    let service = script.behind(Retry::attempts(3).when(|error| error.report().contains("not yet")));
    send(&service).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn retries_cannot_storm() {
    // Two handlers, a thousand calls each within a few seconds, and everything fails.
    let budget = RetryBudget::new(0.2, 10);
    let policy = Retry::attempts(10).fixed(Duration::ZERO).budget(budget.clone());
    let (one, other) = (Script::failing(100_000), Script::failing(100_000));
    let services = [
        one.behind(policy.clone()),
        other.behind(policy.without_budget().budget(budget.clone())),
    ];
    for _ in 0..1000 {
        for service in &services {
            send(service).await.unwrap_err();
        }
    }
    assert_eq!(one.calls() + other.calls(), 2000 + 100 + 400);
    assert_eq!(budget.left(), 0);
    tokio::time::advance(11 * SECOND).await;
    assert_eq!(budget.left(), 100, "what was spent is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_wait_with_the_last_error() {
    let script = Script::failing(9);
    let service = script.behind(Retry::attempts(9).fixed(3600 * SECOND));
    let token = Arc::new(CancellationToken::new());
    let call = Call::new((), Context::new().with_cancellation(Arc::clone(&token)));
    let mut sending = Box::pin(service.oneshot(call));
    assert!(futures_util::poll!(&mut sending).is_pending());
    let began = Instant::now();
    token.cancel();
    let error = sending.await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), began.elapsed()),
        ("not yet", Duration::ZERO)
    );
}

/// Not ready twice; fails when it is called, and must be asked before each call.
#[derive(Clone)]
struct SeldomReady {
    asked: u32,
    is_ready: bool,
    calls: Arc<Mutex<Vec<u32>>>,
}

impl tower::Service<Call<()>> for SeldomReady {
    type Response = ();
    type Error = HandlerError;
    type Future = std::future::Ready<Result<(), HandlerError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), HandlerError>> {
        self.asked += 1;
        self.is_ready = self.asked > 2;
        std::task::Poll::Ready(if self.is_ready {
            Ok(())
        } else {
            Err(failed("not yet"))
        })
    }

    fn call(&mut self, _: Call<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being asked");
        self.calls.lock().unwrap().push(self.asked);
        std::future::ready(Err(failed("not yet")))
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_asks_whether_the_service_is_ready() {
    let calls = Arc::<Mutex<Vec<u32>>>::default();
    let service = Policy::from(Retry::attempts(4).fixed(SECOND))
        .layer_named("test")
        .layer(SeldomReady {
            asked: 0,
            is_ready: false,
            calls: Arc::clone(&calls),
        });
    let began = Instant::now();
    send(&service).await.unwrap_err();
    assert_eq!(*calls.lock().unwrap(), [3, 4]);
    assert_eq!(began.elapsed(), 3 * SECOND);
}

#[test]
fn it_says_how_it_is_set() {
    let said = |retry: Retry| retry.to_string();
    assert_eq!(
        said(Retry::default()),
        "retry, 4 attempts, waiting about 50ms and doubling up to 10s, \
         retries at most 20% of calls and 10 a second"
    );
    let other = Retry::attempts(2).fixed(SECOND);
    assert_eq!(
        said(other.clone().without_budget()),
        "retry, 2 attempts, 1s apart, without a budget"
    );
    assert_eq!(
        said(
            other
                .jitter(0.1)
                .when(|_| true)
                .budget(RetryBudget::new(0.5, 0).window(60 * SECOND))
        ),
        "retry, 2 attempts, about 1s apart, for some errors only, \
         retries at most 50% of calls and 0 a second, over 60s"
    );
    assert_eq!(
        said(
            Retry::attempts(1)
                .decorrelated(SECOND, 9 * SECOND)
                .without_budget()
        ),
        "retry, 1 attempts, waiting 1s or up to three times the wait before, up to 9s, without a budget"
    );
}
