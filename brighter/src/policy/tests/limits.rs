use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::policy::{ConcurrencyLimit, RateLimit};

fn slow(times: usize) -> Script {
    Script::of(vec![Act::Take(SECOND); times])
}

fn waited(result: &Result<(), HandlerError>) -> Option<Duration> {
    match result {
        Err(HandlerError::Overloaded { policy, waited }) if policy == "test" => Some(*waited),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_too_many_is_refused_at_once() {
    let (limit, script) = (ConcurrencyLimit::at_most(2), slow(9));
    let (one, other) = (script.behind(limit.clone()), script.behind(limit.clone()));
    let began = Instant::now();
    let results = join_all([send(&one), send(&other), send(&one), send(&other)]).await;
    let refused: Vec<_> = results.iter().map(waited).collect();
    assert_eq!(refused, [None, None, Some(Duration::ZERO), Some(Duration::ZERO)]);
    assert_eq!((script.calls(), limit.free(), began.elapsed()), (2, 2, SECOND));
}

#[tokio::test(start_paused = true)]
async fn an_excess_call_waits_for_a_place_until_its_limit() {
    let (limit, script) = (ConcurrencyLimit::at_most(1).wait_timeout(SECOND * 3 / 2), slow(3));
    let service = script.behind(limit.clone());
    let results = join_all([send(&service), send(&service), send(&service)]).await;
    let refused: Vec<_> = results.iter().map(waited).collect();
    assert_eq!(refused, [None, None, Some(SECOND * 3 / 2)]);
    assert_eq!((script.calls(), limit.free()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn dropped_and_panicking_calls_free_their_place() {
    let limit = ConcurrencyLimit::at_most(1).wait_timeout(SECOND);
    let script = Script::of([Act::Take(SECOND), Act::Panic]);
    let service = script.behind(limit.clone());
    let mut running = Box::pin(send(&service));
    let mut waiting = Box::pin(send(&service));
    assert!(futures_util::poll!(&mut running).is_pending());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop((running, waiting));
    assert_eq!(limit.free(), 1);
    assert!(AssertUnwindSafe(send(&service)).catch_unwind().await.is_err());
    assert_eq!(limit.free(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_begin_within_the_time_than_may() {
    let script = Script::default();
    let limit = RateLimit::new(3, SECOND);
    let (one, other) = (script.behind(limit.clone()), script.behind(limit));
    let half = SECOND / 2;
    send(&one).await.unwrap();
    tokio::time::advance(half).await;
    join_all((0..8).map(|n| send(if n % 2 == 0 { &one } else { &other }))).await;
    let times = script.times();
    let after: Vec<_> = times.iter().map(|at| (*at - times[0]).as_millis()).collect();
    assert_eq!(after, [0, 500, 500, 1000, 1500, 1500, 2000, 2500, 2500]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_takes_no_turn() {
    let script = Script::default();
    let service = script.behind(RateLimit::new(1, SECOND));
    send(&service).await.unwrap();
    let began = Instant::now();
    let mut crowd: Vec<_> = (0..100).map(|_| Box::pin(send(&service))).collect();
    for waiting in &mut crowd {
        assert!(futures_util::poll!(waiting).is_pending());
    }
    drop(crowd);
    send(&service).await.unwrap();
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_probe_has_a_limit() {
    let script = Script::default();
    let limit = RateLimit::new(1, 3600 * SECOND);
    send(&script.behind(limit.clone())).await.unwrap();
    let result = send(&script.behind(limit.clone().wait_timeout(SECOND))).await;
    assert_eq!(waited(&result), Some(SECOND));

    let limits: [Policy; 2] = [
        limit.into(),
        ConcurrencyLimit::at_most(1).wait_timeout(3600 * SECOND).into(),
    ];
    for policy in limits {
        let service = slow(2).behind(policy);
        let _first = send(&service).now_or_never();
        let mut running = Box::pin(send(&service));
        assert!(futures_util::poll!(&mut running).is_pending());
        let token = Arc::new(CancellationToken::new());
        let call = Call::new((), Context::new().with_cancellation(Arc::clone(&token)));
        let mut waiting = Box::pin(service.clone().oneshot(call));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        token.cancel();
        assert!(matches!(waiting.await, Err(HandlerError::Cancelled)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_says_how_it_is_set() {
    let said = |policy: Policy| policy.to_string();
    let places = ConcurrencyLimit::at_most(8);
    assert_eq!(
        said(places.clone().into()),
        "concurrency limit, 8 at a time, refuses at once"
    );
    assert_eq!(
        said(places.wait_timeout(SECOND).into()),
        "concurrency limit, 8 at a time, waits 1s at most"
    );
    let rate = RateLimit::new(30, SECOND);
    assert_eq!(
        said(rate.clone().into()),
        "rate limit, 30 within 1s, waits its turn"
    );
    assert_eq!(
        said(rate.wait_timeout(SECOND).into()),
        "rate limit, 30 within 1s, waits 1s at most"
    );
}
