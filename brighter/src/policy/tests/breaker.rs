use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use tower::{Layer, ServiceExt};

use super::*;
use crate::policy::{CircuitBreaker, CircuitState, Retry, SlidingWindow};

fn breaker(failures: u32) -> CircuitBreaker {
    CircuitBreaker::consecutive(failures, 5 * SECOND)
}

fn is_broken(result: &Result<(), HandlerError>) -> bool {
    matches!(result, Err(HandlerError::BrokenCircuit { policy, .. }) if policy == "test")
}

#[tokio::test(start_paused = true)]
async fn it_opens_and_closes_after_a_probe() {
    let (breaker, script) = (breaker(2), Script::failing(2));
    let service = script.behind(breaker.clone());
    for _ in 0..2 {
        send(&service).await.unwrap_err();
    }
    assert_eq!(
        (breaker.state(), breaker.open_for()),
        (CircuitState::Open, Some(5 * SECOND))
    );
    assert!(is_broken(&send(&service).await));
    assert_eq!(script.calls(), 2);
    tokio::time::advance(5 * SECOND).await;
    send(&service).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_counts_calls_outside_and_attempts_inside_a_retry() {
    let retry = Retry::attempts(3).fixed(SECOND);
    let script = Script::failing(99);

    let outside = breaker(2);
    let service = Policy::from(outside.clone())
        .layer_named("test")
        .layer(script.behind(retry.clone()));
    for calls in [3, 6] {
        assert_eq!(outside.state(), CircuitState::Closed);
        send(&service).await.unwrap_err();
        assert_eq!(script.calls(), calls);
    }
    assert_eq!(outside.state(), CircuitState::Open);

    let inside = breaker(2);
    let service = Policy::from(retry)
        .layer_named("retry")
        .layer(script.behind(inside.clone()));
    let result = send(&service).await;
    assert!(is_broken(&result), "the open circuit ended the retry: {result:?}");
    assert_eq!((script.calls(), inside.state()), (8, CircuitState::Open));
}

#[tokio::test(start_paused = true)]
async fn all_who_have_it_share_its_state() {
    let breaker = breaker(2);
    let (one, other) = (Script::failing(1), Script::failing(1));
    let (first, second) = (one.behind(breaker.clone()), other.behind(breaker.clone()));
    send(&first).await.unwrap_err();
    send(&second).await.unwrap_err();
    assert!(is_broken(&send(&first).await) && is_broken(&send(&second).await));
    tokio::time::advance(5 * SECOND).await;
    send(&second).await.unwrap();
    send(&first).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_setting_makes_a_breaker_of_its_own() {
    let first = breaker(1);
    let second = first.clone().probes(2);
    first.force_open();
    assert_eq!(second.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_frees_its_place() {
    let (breaker, script) = (
        breaker(1),
        Script::of([Act::Fail, Act::Take(SECOND), Act::Succeed]),
    );
    let service = script.behind(breaker.clone());
    send(&service).await.unwrap_err();
    tokio::time::advance(5 * SECOND).await;
    let mut probe = Box::pin(send(&service));
    assert!(futures_util::poll!(&mut probe).is_pending());
    assert!(is_broken(&send(&service).await), "one probe at a time");
    drop(probe);
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    send(&service).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_panic_counts() {
    let (breaker, script) = (breaker(1), Script::of([Act::Panic, Act::Panic]));
    let service = script.behind(breaker.clone());
    for _ in 0..2 {
        let panicked = AssertUnwindSafe(send(&service)).catch_unwind().await;
        assert!(panicked.is_err());
        assert_eq!(breaker.state(), CircuitState::Open, "at once, and of a probe");
        tokio::time::advance(5 * SECOND).await;
    }
    send(&service).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn neutral_errors_neither_open_nor_close_a_circuit() {
    let errors = Arc::new(Mutex::new(untouchables()));
    let count = untouchables().len();
    let breaker = breaker(1);
    let service = Policy::from(breaker.clone())
        .layer_named("test")
        .layer(tower::service_fn({
            let errors = Arc::clone(&errors);
            move |_: Call<()>| {
                let error = errors.lock().unwrap().pop();
                async move { error.map_or(Ok(()), Err) }
            }
        }));
    for _ in 0..count {
        send(&service).await.unwrap_err();
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
    *errors.lock().unwrap() = untouchables();
    errors.lock().unwrap().push(failed("really"));
    send(&service).await.unwrap_err();
    tokio::time::advance(5 * SECOND).await;
    for _ in 0..count {
        let error = send(&service).await.unwrap_err();
        assert!(!error.is_retryable());
        assert_eq!(breaker.state(), CircuitState::HalfOpen, "{error} is no verdict");
    }
    send(&service).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn when_says_which_errors_count() {
    let breaker = breaker(1).when(|error| error.report().contains("disk"));
    let layer = Policy::from(breaker.clone()).layer_named("test");
    let failing = |why: &'static str| {
        layer.layer(tower::service_fn(
            move |_: Call<()>| async move { Err(failed(why)) },
        ))
    };
    send(&failing("paper")).await.unwrap_err();
    assert_eq!(breaker.state(), CircuitState::Closed);
    send(&failing("disk")).await.unwrap_err();
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_forced() {
    let (breaker, script) = (breaker(1), Script::failing(9));
    let service = script.behind(breaker.clone());
    breaker.force_open();
    tokio::time::advance(3600 * SECOND).await;
    assert!(is_broken(&send(&service).await) && breaker.is_forced());
    assert_eq!(breaker.open_for(), None, "nobody knows");
    breaker.force_closed();
    for _ in 0..5 {
        assert!(!is_broken(&send(&service).await));
    }
    breaker.reset();
    assert!(!breaker.is_forced());
    send(&service).await.unwrap_err();
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_even_those_that_time_makes() {
    let (breaker, script) = (breaker(1), Script::failing(1));
    let service = script.behind(breaker.clone());
    let mut changes = breaker.changes();
    let began = tokio::time::Instant::now();
    let watching = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.last() != Some(&CircuitState::Closed) {
            seen.push(changes.next().await);
            if seen.len() == 2 {
                service.clone().oneshot(call()).await.unwrap();
            }
        }
        (seen, began.elapsed())
    });
    tokio::task::yield_now().await;
    send(&script.behind(breaker)).await.unwrap_err();
    let (seen, took) = watching.await.unwrap();
    assert_eq!(
        seen,
        [CircuitState::Open, CircuitState::HalfOpen, CircuitState::Closed]
    );
    assert!((5 * SECOND..6 * SECOND).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn its_open_time_can_be_spread() {
    let breaker = breaker(1).jitter(0.2);
    let service = Script::failing(99).behind(breaker.clone());
    let mut waits = Vec::new();
    for _ in 0..20 {
        send(&service).await.unwrap_err();
        waits.push(breaker.open_for().unwrap());
        breaker.reset();
    }
    assert!(
        waits.iter().all(|wait| (4 * SECOND..=6 * SECOND).contains(wait)),
        "{waits:?}"
    );
    waits.dedup();
    assert!(waits.len() > 1);
}

#[test]
fn it_says_how_it_is_set() {
    let ten = CircuitBreaker::default();
    assert_eq!(
        ten.to_string(),
        "circuit breaker, opens after 10 failures in a row for 5s"
    );
    let calls = CircuitBreaker::failure_rate(0.25, SlidingWindow::Calls(8), SECOND)
        .probes(2)
        .closes_after(3);
    assert_eq!(
        calls.to_string(),
        "circuit breaker, opens when 25% of the last 8 calls failed, of 8 at least, for 1s, \
         2 probes at a time, closes after 3 successes"
    );
    let time = CircuitBreaker::failure_rate(0.5, SlidingWindow::Time(30 * SECOND), SECOND)
        .jitter(0.1)
        .when(|_| true);
    assert_eq!(
        time.to_string(),
        "circuit breaker, opens when 50% of the calls within 30s failed, of 10 at least, for about 1s, \
         counts some errors only"
    );
}
