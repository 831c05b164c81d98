//! [`Case`]: one required behaviour of a transport, and its check.

use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::thread;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::{Feature, Harness};
use crate::run;

/// One behaviour that a transport must have, if it has the features that the behaviour needs.
pub struct Case<H> {
    /// The name of the case and of its test.
    pub name: &'static str,
    /// The features that the case needs.
    pub needs: &'static [Feature],
    run: fn(&H) -> LocalBoxFuture<'_, ()>,
}

/// The result of a case that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaseOutcome {
    /// The transport has the required behaviour.
    Passed,
    /// The transport does not declare this feature, which the case needs.
    NotApplicable(Feature),
}

impl<H: Harness> Case<H> {
    /// Returns a case for a suite that adds to [`cases`](super::cases).
    #[must_use]
    pub fn new(name: &'static str, needs: &'static [Feature], run: fn(&H) -> LocalBoxFuture<'_, ()>) -> Self {
        Self { name, needs, run }
    }

    /// Returns a feature that the case needs and the transport does not declare.
    #[must_use]
    pub fn lacks(&self, harness: &H) -> Option<Feature> {
        let features = harness.features();
        self.needs.iter().copied().find(|need| !features.has(*need))
    }

    /// Checks the behaviour of a transport.
    ///
    /// # Panics
    /// Panics if the check fails, or takes longer than eight times the harness's patience.
    pub async fn check(&self, harness: &H) -> CaseOutcome {
        if let Some(feature) = self.lacks(harness) {
            return CaseOutcome::NotApplicable(feature);
        }
        let limit = harness.patience() * 8;
        let done = tokio::time::timeout(limit, (self.run)(harness)).await;
        assert!(
            done.is_ok(),
            "`{}` hangs: it is not done after {limit:?}",
            self.name
        );
        CaseOutcome::Passed
    }
}

impl<H> fmt::Debug for Case<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .finish()
    }
}

/// Runs a case of this list, as [`check`](super::check) does.
#[doc(hidden)]
pub fn check_in<H, K>(
    cases: fn() -> Vec<Case<H>>,
    name: &str,
    times: usize,
    make: impl AsyncFn() -> (H, K) + Sync,
) where
    H: Harness,
{
    let one = || {
        run(async {
            let (harness, _kept) = make().await;
            let case = cases().into_iter().find(|case| case.name == name);
            let case = case.unwrap_or_else(|| panic!("there is no case `{name}`"));
            AssertUnwindSafe(case.check(&harness)).catch_unwind().await
        })
    };
    let outcomes: Vec<_> = thread::scope(|scope| {
        let begin = |_| {
            let named = thread::Builder::new().name(name.to_owned());
            named.spawn_scoped(scope, one).expect("a thread for the case")
        };
        let threads: Vec<_> = (0..times.max(1)).map(begin).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let outcomes = outcomes.into_iter().map(|joined| joined.unwrap_or_else(Err));
    let (passed, failed): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
    if let Some(Ok(CaseOutcome::NotApplicable(feature))) = passed.first() {
        println!("`{name}` is not applicable: the transport does not declare {feature:?}");
    }
    let failures = failed.len();
    if let Some(Err(panic)) = failed.into_iter().next() {
        println!("`{name}` failed in {failures} of {} runs", times.max(1));
        resume_unwind(panic);
    }
}
