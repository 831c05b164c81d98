//! Who is told when a circuit lets calls through again.

use brighter_core::error::RetryTurn;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::policy::CircuitBreaker;
use crate::policy::circuit_breaker::{Permit, Verdict};

fn opened(breaker: CircuitBreaker) -> CircuitBreaker {
    end(admitted(&breaker), Verdict::Failure);
    assert!(breaker.open_for().is_some());
    breaker
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::consecutive(1, 5 * SECOND)
}

fn admitted(breaker: &CircuitBreaker) -> Permit {
    let Ok(permit) = breaker.admit() else {
        panic!("it is let through");
    };
    permit
}

fn end(mut permit: Permit, verdict: Verdict) {
    permit.settle(verdict, "test");
}

/// Callers that wait, in this order, and the turns of those that have theirs.
struct Callers(Vec<(BoxFuture<'static, RetryTurn>, Option<RetryTurn>)>);

impl Callers {
    fn of(breaker: &CircuitBreaker, callers: usize) -> Self {
        let wait = || {
            let signal = breaker.retry_signal();
            (async move { signal.wait().await }.boxed(), None)
        };
        let mut callers = Self((0..callers).map(|_| wait()).collect());
        callers.look();
        callers
    }

    fn look(&mut self) {
        for (wait, turn) in &mut self.0 {
            if turn.is_none() {
                // Not what the budget of a task allows.
                *turn = tokio::task::unconstrained(wait).now_or_never();
            }
        }
    }

    /// Which of them have had their turn.
    fn turns(&mut self) -> Vec<usize> {
        // What the last of them says may be news to the first.
        self.look();
        self.look();
        let all = self.0.iter().enumerate();
        all.filter(|(_, (_, turn))| turn.is_some())
            .map(|(number, _)| number)
            .collect()
    }

    fn drop_turn(&mut self, number: usize) {
        let turn = self.0[number].1.replace(RetryTurn::untracked());
        drop(turn.expect("it has had its turn"));
    }
}

#[tokio::test(start_paused = true)]
async fn half_open_the_next_probe_goes_and_closed_all_go() {
    let breaker = opened(breaker());
    let mut callers = Callers::of(&breaker, 64);
    tokio::time::advance(5 * SECOND - Duration::from_millis(1)).await;
    assert!(callers.turns().is_empty(), "it is open");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(callers.turns(), [0]);
    let probe = admitted(&breaker);
    callers.drop_turn(0);
    assert_eq!(callers.turns(), [0], "the probe runs");
    end(probe, Verdict::Success);
    assert_eq!(callers.turns().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn a_probe_without_a_verdict_passes_on_at_once() {
    let breaker = opened(breaker());
    let mut callers = Callers::of(&breaker, 4);
    tokio::time::advance(5 * SECOND).await;
    for next in 0..3 {
        assert_eq!(callers.turns(), (0..=next).collect::<Vec<_>>());
        let probe = admitted(&breaker);
        callers.drop_turn(next);
        // Dropped, as it is when its handler says what is to become of the message.
        drop(probe);
    }
    assert_eq!(callers.turns(), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_probe_others_wait_the_new_time() {
    let breaker = opened(breaker());
    let mut callers = Callers::of(&breaker, 3);
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(callers.turns(), [0]);
    end(admitted(&breaker), Verdict::Failure);
    callers.drop_turn(0);
    assert_eq!(callers.turns(), [0]);
    tokio::time::advance(4 * SECOND).await;
    assert_eq!(callers.turns(), [0]);
    tokio::time::advance(SECOND).await;
    assert_eq!(callers.turns(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_unused_probe_goes_to_the_next() {
    let breaker = opened(breaker());
    let mut callers = Callers::of(&breaker, 4);
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(callers.turns(), [0]);
    callers.drop_turn(0);
    assert_eq!(callers.turns(), [0, 1], "it did not get as far as the circuit");
    // The next one goes while it waits, and the one after it before it looks at its turn.
    drop(callers.0.remove(2));
    callers.drop_turn(1);
    drop(callers.0.remove(2));
    assert_eq!(callers.turns(), [0, 1], "nobody else is left");
    let mut late = Callers::of(&breaker, 2);
    assert_eq!(late.turns(), [0], "no turn was lost");
}

#[tokio::test(start_paused = true)]
async fn waiters_take_turns_up_to_the_number_of_probes() {
    let breaker = opened(breaker().probes(2).closes_after(3));
    let mut callers = Callers::of(&breaker, 6);
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(callers.turns(), [0, 1]);
    let (first, second) = (admitted(&breaker), admitted(&breaker));
    assert_eq!(callers.turns(), [0, 1], "their turns are used, whenever they end");
    end(first, Verdict::Success);
    assert_eq!(callers.turns(), [0, 1, 2]);
    end(second, Verdict::Success);
    assert_eq!(callers.turns(), [0, 1, 2, 3]);
    end(admitted(&breaker), Verdict::Success);
    assert_eq!(callers.turns().len(), 6, "it is closed");
}

#[tokio::test(start_paused = true)]
async fn waiters_go_when_an_operator_closes_a_circuit() {
    let open = |breaker: CircuitBreaker| {
        breaker.force_open();
        breaker
    };
    let ways: [fn(&CircuitBreaker); 2] = [CircuitBreaker::force_closed, CircuitBreaker::reset];
    for way in ways {
        let breaker = open(breaker());
        let mut callers = Callers::of(&breaker, 3);
        tokio::time::advance(3600 * SECOND).await;
        assert!(callers.turns().is_empty());
        way(&breaker);
        assert_eq!(callers.turns(), [0, 1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_refused_call_has_the_signal() {
    let breaker = opened(breaker());
    let service = Script::default().behind(breaker);
    let Err(HandlerError::BrokenCircuit { retry, .. }) = send(&service).await else {
        panic!("it is open");
    };
    let began = Instant::now();
    let turn = retry.expect("a signal").wait().await;
    assert_eq!(began.elapsed(), 5 * SECOND);
    send(&service).await.unwrap();
    drop(turn);
}
