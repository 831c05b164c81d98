//! Retries against a model: how many attempts, how long in all, and what the budget says.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Script, send};
use crate::policy::{Retry, RetryBudget};

/// A runtime whose time moves only when it is told to, or when all is waiting.
pub(super) fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

#[derive(Debug, Clone, Copy)]
enum Waits {
    Fixed(u64),
    Exponential(u64, u64),
    Decorrelated(u64, u64),
}

#[derive(Debug, Clone)]
struct Case {
    attempts: u32,
    waits: Waits,
    jitter_percent: u32,
    budget: Option<(u32, u32)>,
    /// For each call, how long it comes after the one before, and how often it fails.
    calls: Vec<(u64, u32)>,
}

impl Case {
    fn retry(&self) -> Retry {
        let millis = Duration::from_millis;
        let retry = Retry::attempts(self.attempts).jitter(f64::from(self.jitter_percent) / 100.0);
        let retry = match self.waits {
            Waits::Fixed(wait) => retry.fixed(millis(wait)),
            Waits::Exponential(first, limit) => retry.exponential(millis(first), millis(limit)),
            Waits::Decorrelated(first, limit) => retry.decorrelated(millis(first), millis(limit)),
        };
        match self.budget {
            Some((percent, second)) => retry.budget(RetryBudget::new(f64::from(percent) / 100.0, second)),
            None => retry.without_budget(),
        }
    }

    /// Between which two the n-th wait is, in milliseconds.
    fn wait(&self, n: u32) -> (f64, f64) {
        let jitter = f64::from(self.jitter_percent) / 100.0;
        let around = |middle: f64| (middle * (1.0 - jitter), middle * (1.0 + jitter));
        match self.waits {
            Waits::Fixed(wait) => around(wait as f64),
            Waits::Exponential(first, limit) => around((first << (n - 1)).min(limit) as f64),
            Waits::Decorrelated(first, limit) => {
                let most = (first * 3_u64.pow(n)).min(limit);
                (first.min(limit) as f64, most as f64)
            }
        }
    }
}

/// When first attempts and retries were, and so whether there may be another retry.
struct Budget {
    settings: Option<(u32, u32)>,
    began: Instant,
    made: Vec<(u64, bool)>,
}

impl Budget {
    fn note(&mut self, at: Instant, is_retry: bool) {
        self.made.push((self.tenth(at), is_retry));
    }

    /// Which tenth of its ten seconds this is.
    fn tenth(&self, at: Instant) -> u64 {
        (at - self.began).as_secs()
    }

    fn allows(&self, at: Instant) -> bool {
        let Some((percent, per_second)) = self.settings else {
            return true;
        };
        let recent = self
            .made
            .iter()
            .copied()
            .filter(|(tenth, _)| tenth + 10 > self.tenth(at));
        let (retries, calls): (Vec<_>, Vec<_>) = recent.partition(|made| made.1);
        (retries.len() + 1) * 100 <= per_second as usize * 1000 + percent as usize * calls.len()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let waits = prop_oneof![
        (0..3000_u64).prop_map(Waits::Fixed),
        (1..500_u64, 1..5000_u64).prop_map(|(first, limit)| Waits::Exponential(first, limit)),
        (1..500_u64, 500..5000_u64).prop_map(|(first, limit)| Waits::Decorrelated(first, limit)),
    ];
    let budget = prop::option::weighted(0.8, (0..150_u32, 0..2_u32));
    let calls = prop::collection::vec((0..4000_u64, 0..9_u32), 1..40);
    (0..7_u32, waits, 0..=100_u32, budget, calls).prop_map(
        |(attempts, waits, jitter_percent, budget, calls)| Case {
            attempts,
            waits,
            jitter_percent,
            budget,
            calls,
        },
    )
}

async fn follow(case: Case) {
    let retry = case.retry();
    let mut budget = Budget {
        settings: case.budget,
        began: Instant::now(),
        made: Vec::new(),
    };
    for &(after, fails) in &case.calls {
        tokio::time::advance(Duration::from_millis(after)).await;
        // Each call is another handler's: the budget is what they share.
        let script = Script::failing(fails as usize);
        let result = send(&script.behind(retry.clone())).await;
        let attempts = script.times();
        assert_eq!(result.is_ok(), attempts.len() > fails as usize);

        budget.note(attempts[0], false);
        for (n, pair) in (1..).zip(attempts.windows(2)) {
            assert!(
                budget.allows(pair[0]),
                "retry {n} is over the budget {:?}",
                budget.made
            );
            budget.note(pair[0], true);
            let waited = (pair[1] - pair[0]).as_nanos() as f64 / 1e6;
            let (least, most) = case.wait(n);
            // Tokio's timers round up to the next millisecond.
            assert!(
                least.floor() <= waited && waited <= most.ceil() + 1.0,
                "{waited} after {n}"
            );
        }
        let last = attempts[attempts.len() - 1];
        assert!(
            result.is_ok() || attempts.len() == case.attempts.max(1) as usize || !budget.allows(last),
            "gave up after {}",
            attempts.len()
        );
        assert_eq!(Instant::now(), last, "no wait after the last");
    }
}

/// The whole time is the sum of the waits, to the millisecond.
async fn sum(attempts: u32, waits: Waits) {
    let case = Case {
        attempts,
        waits,
        jitter_percent: 0,
        budget: None,
        calls: Vec::new(),
    };
    let script = Script::failing(attempts as usize);
    let began = Instant::now();
    send(&script.behind(case.retry())).await.unwrap_err();
    let expected: f64 = (1..attempts).map(|n| case.wait(n).0).sum();
    assert_eq!(began.elapsed().as_millis(), expected as u128);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(case in cases()) {
        paused().block_on(follow(case));
    }

    #[test]
    fn without_jitter_the_waits_add_up(attempts in 1..12_u32, first in 0..500_u64, limit in 1..5000_u64) {
        paused().block_on(sum(attempts, Waits::Fixed(first)));
        paused().block_on(sum(attempts, Waits::Exponential(first, limit)));
    }
}
