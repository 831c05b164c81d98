//! Policies around handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brighter::pipeline::WiringError;
use brighter::policy::CircuitState;
use brighter::prelude::*;
use brighter::processor::BuildError;

#[derive(Debug, Command)]
struct Try {
    fails: u32,
    with: fn() -> BoxError,
}

fn plain() -> BoxError {
    "not yet".into()
}

fn times(fails: u32) -> Try {
    Try { fails, with: plain }
}

/// Fails as often as the request says, and counts how often it was called.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicU32>);

impl Calls {
    fn attempt(&self, request: &Try) -> Result<(), BoxError> {
        let calls = self.0.fetch_add(1, Ordering::Relaxed);
        if calls < request.fails {
            Err((request.with)())
        } else {
            Ok(())
        }
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! handler_with {
    ($name:ident, $($step:meta),+) => {
        struct $name(Calls);
        #[handler]
        impl Handler<Try> for $name {
            $(#[$step])+
            async fn handle(&self, request: &Try) -> Result<(), BoxError> {
                self.0.attempt(request)
            }
        }
    };
}

handler_with!(Retried, use_policy(retry, step = 1));
handler_with!(Broken, use_policy(circuit_breaker, step = 1));
handler_with!(
    BrokenOutside,
    use_policy(circuit_breaker, step = 1),
    use_policy(retry, step = 2)
);
handler_with!(
    BrokenInside,
    use_policy(retry, step = 1),
    use_policy(circuit_breaker, step = 2)
);
handler_with!(BothInOne, use_policy([circuit_breaker, retry], step = 1));
handler_with!(
    Inline,
    use_policy(Retry::attempts(2).fixed(Duration::from_secs(1)), step = 1)
);
handler_with!(Misnamed, use_policy(retrry, step = 1), use_policy(xyz, step = 2));

const SECOND: Duration = Duration::from_secs(1);

fn policies() -> PolicyRegistry {
    PolicyRegistry::default()
        .insert("retry", Retry::attempts(3).fixed(SECOND))
        .insert("circuit_breaker", CircuitBreaker::consecutive(2, 10 * SECOND))
}

#[tokio::test(start_paused = true)]
async fn sending_a_command_that_should_retry_failure() {
    let calls = Calls::default();
    let processor = CommandProcessor::builder()
        .handler(Retried(calls.clone()))
        .policies(policies())
        .build()
        .unwrap();
    let began = tokio::time::Instant::now();
    processor.send(times(2)).await.unwrap();
    assert_eq!((calls.count(), began.elapsed()), (3, 2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_retry_gives_up_with_the_last_error() {
    let calls = Calls::default();
    let processor = CommandProcessor::builder()
        .handler(Retried(calls.clone()))
        .policies(policies())
        .build()
        .unwrap();
    let error = processor.send(times(9)).await.unwrap_err();
    assert_eq!((calls.count(), error.to_string().as_str()), (3, "not yet"));
}

#[tokio::test(start_paused = true)]
async fn pump_actions_are_not_retried_and_break_no_circuit() {
    let asks: [fn() -> BoxError; 4] = [
        || Defer::by_subscription().into(),
        || Reject::because("no").into(),
        || Invalid::because("no").into(),
        || DontAck::because("no").into(),
    ];
    for with in asks {
        let calls = Calls::default();
        let breaker = CircuitBreaker::consecutive(1, SECOND);
        let processor = CommandProcessor::builder()
            .handler(BrokenOutside(calls.clone()))
            .policies(policies().insert("circuit_breaker", breaker.clone()))
            .build()
            .unwrap();
        processor.send(Try { fails: 9, with }).await.unwrap_err();
        assert_eq!((calls.count(), breaker.state()), (1, CircuitState::Closed));
    }
}

#[tokio::test(start_paused = true)]
async fn sending_a_command_that_repeatedly_fails_breaks_the_circuit() {
    let calls = Calls::default();
    let processor = CommandProcessor::builder()
        .handler(Broken(calls.clone()))
        .policies(policies())
        .build()
        .unwrap();
    processor.send(times(9)).await.unwrap_err();
    processor.send(times(9)).await.unwrap_err();
    let error = processor.send(times(9)).await.unwrap_err();
    assert_eq!(calls.count(), 2, "the open circuit kept the third away");
    assert!(
        error
            .to_string()
            .contains("`circuit_breaker` is open for another 10s"),
        "{error}"
    );

    tokio::time::advance(10 * SECOND).await;
    processor.send(times(0)).await.unwrap();
    processor.send(times(0)).await.unwrap();
    assert_eq!(calls.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_outside_a_retry_counts_the_whole_of_it() {
    for make in [|calls| Box::new(outside(calls)), |calls| Box::new(in_one(calls))] {
        let calls = Calls::default();
        let processor = make(calls.clone());
        processor.send(times(99)).await.unwrap_err();
        assert_eq!(calls.count(), 3);
        processor.send(times(99)).await.unwrap_err();
        assert_eq!(calls.count(), 6, "two failures of three attempts each");
        processor.send(times(99)).await.unwrap_err();
        assert_eq!(calls.count(), 6);
    }
}

fn outside(calls: Calls) -> CommandProcessor {
    CommandProcessor::builder()
        .handler(BrokenOutside(calls))
        .policies(policies())
        .build()
        .unwrap()
}

fn in_one(calls: Calls) -> CommandProcessor {
    CommandProcessor::builder()
        .handler(BothInOne(calls))
        .policies(policies())
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_breaker_inside_a_retry_counts_each_attempt() {
    let calls = Calls::default();
    let processor = CommandProcessor::builder()
        .handler(BrokenInside(calls.clone()))
        .policies(policies())
        .build()
        .unwrap();
    let error = processor.send(times(99)).await.unwrap_err();
    assert_eq!(calls.count(), 2, "the third attempt met an open circuit");
    assert!(error.to_string().contains("is open"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn handlers_that_name_one_breaker_share_it() {
    #[derive(Debug, Command)]
    struct Other;
    struct AlsoBroken;
    #[handler]
    impl Handler<Other> for AlsoBroken {
        #[use_policy(circuit_breaker, step = 1)]
        async fn handle(&self, _: &Other) -> Result<(), BoxError> {
            Ok(())
        }
    }
    let processor = CommandProcessor::builder()
        .handler(Broken(Calls::default()))
        .handler(AlsoBroken)
        .policies(policies())
        .build()
        .unwrap();
    processor.send(Other).await.unwrap();
    for _ in 0..2 {
        processor.send(times(9)).await.unwrap_err();
    }
    assert!(processor.send(Other).await.is_err(), "one breaker for one name");
}

#[tokio::test(start_paused = true)]
async fn an_inline_policy_is_the_handlers_own() {
    let calls = Calls::default();
    let processor = CommandProcessor::builder()
        .handler(Inline(calls.clone()))
        .policies(PolicyRegistry::empty())
        .build()
        .unwrap();
    processor.send(times(1)).await.unwrap();
    assert_eq!(calls.count(), 2);
}

/// Takes a minute each time it is asked.
macro_rules! slow_with {
    ($name:ident, $($step:meta),+) => {
        struct $name(Calls);
        #[handler]
        impl Handler<Try> for $name {
            $(#[$step])+
            async fn handle(&self, request: &Try) -> Result<(), BoxError> {
                let attempt = self.0.attempt(request);
                tokio::time::sleep(60 * SECOND).await;
                attempt
            }
        }
    };
}

slow_with!(
    LimitedEachTime,
    use_policy(retry, step = 1),
    timeout("5s", step = 2)
);
slow_with!(LimitedInAll, timeout("5s", step = 1), use_policy(retry, step = 2));

#[tokio::test(start_paused = true)]
async fn a_timeout_limits_attempts_inside_and_calls_outside_retries() {
    let calls = Calls::default();
    let builder = CommandProcessor::builder()
        .handler(LimitedEachTime(calls.clone()))
        .policies(policies());
    let began = tokio::time::Instant::now();
    let error = builder.build().unwrap().send(times(0)).await.unwrap_err();
    assert_eq!(error.to_string(), "no result within 5s");
    // Three attempts of five seconds, and two waits of one.
    assert_eq!((calls.count(), began.elapsed()), (3, 17 * SECOND));

    let calls = Calls::default();
    let builder = CommandProcessor::builder()
        .handler(LimitedInAll(calls.clone()))
        .policies(policies());
    let began = tokio::time::Instant::now();
    builder.build().unwrap().send(times(0)).await.unwrap_err();
    assert_eq!((calls.count(), began.elapsed()), (1, 5 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_wait_of_a_retry() {
    let calls = Calls::default();
    let processor = CommandProcessor::builder()
        .handler(Retried(calls.clone()))
        .policies(policies().insert("retry", Retry::attempts(3).fixed(3600 * SECOND)))
        .build()
        .unwrap();
    let sending = tokio::spawn({
        let processor = processor.clone();
        async move { processor.send(times(9)).await }
    });
    while calls.count() == 0 {
        tokio::task::yield_now().await;
    }
    let began = tokio::time::Instant::now();
    processor.close().await;
    assert_eq!(sending.await.unwrap().unwrap_err().to_string(), "not yet");
    assert!(began.elapsed() < SECOND);
}

#[test]
fn a_mistake_of_a_handler_added_twice_is_reported_once() {
    let builder = || CommandProcessor::builder().handler(Misnamed(Calls::default()));
    let once = builder().build().unwrap_err();
    let twice = builder().handler(Misnamed(Calls::default())).build().unwrap_err();
    let of_policies = |errors: &brighter::processor::BuildErrors| {
        let errors = errors.iter();
        errors
            .filter(|error| matches!(error, BuildError::Wiring(_)))
            .count()
    };
    assert_eq!((of_policies(&once), of_policies(&twice)), (2, 2), "{twice}");
}

#[test]
fn an_unknown_policy_names_the_nearest() {
    let errors = CommandProcessor::builder()
        .handler(Misnamed(Calls::default()))
        .build()
        .unwrap_err();
    let found: Vec<_> = errors
        .iter()
        .map(|error| match error {
            BuildError::Wiring(WiringError::UnknownPolicy {
                policy,
                nearest,
                step,
                ..
            }) => (policy.as_str(), nearest.as_deref(), *step),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(found, [("xyz", None, 2), ("retrry", Some("retry"), 1)]);
    assert!(errors.to_string().contains("did you mean `retry`?"), "{errors}");
    assert_eq!(
        format!("{errors:?}"),
        errors.to_string(),
        "what `main` shows names the fix too"
    );
}
