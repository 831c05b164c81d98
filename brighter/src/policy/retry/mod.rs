//! [`Retry`]: tries again what failed.

mod budget;
#[cfg(feature = "config")]
mod configure;
mod future;

use std::fmt;
use std::time::Duration;

pub use budget::RetryBudget;
use budget::Spent;
pub(super) use future::RetryFuture;

use super::delay::{self, Delay};
use brighter_core::error::{HandlerError, InvalidSetting};

/// How far an exponential wait is spread at random, as a share of it, unless said otherwise.
const JITTER: f64 = 0.5;

/// Tries again what failed, with waits that grow, within a budget.
///
/// Only what may get better is tried again: never what a handler asks of the pump, an invalid request or an
/// open circuit (see [`HandlerError::is_retryable`]), and of the rest only what [`when`](Self::when) lets
/// through. A shutdown ends the wait. However it ends, the outcome is the last attempt's.
///
/// | | default | set by |
/// |---|---|---|
/// | attempts | 4, the first one counted | [`attempts`](Self::attempts) |
/// | waits | about 50, 100 and 200 ms | [`fixed`](Self::fixed), [`exponential`](Self::exponential), [`decorrelated`](Self::decorrelated), [`jitter`](Self::jitter) |
/// | which errors | all that may get better | [`when`](Self::when) |
/// | budget | 20 % of the calls and 10 a second: [`RetryBudget::default`] | [`budget`](Self::budget), [`without_budget`](Self::without_budget) |
///
/// Clones share the budget, and so do all who name one policy of a
/// [`PolicyRegistry`](super::PolicyRegistry).
///
/// ```
/// use std::time::Duration;
/// use brighter::HandlerError;
/// use brighter::policy::Retry;
///
/// fn is_busy(error: &HandlerError) -> bool {
///     error.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::WouldBlock)
/// }
///
/// let retry = Retry::attempts(5)
///     .exponential(Duration::from_millis(20), Duration::from_secs(2))
///     .when(is_busy);
/// assert_eq!(
///     retry.to_string(),
///     "retry, 5 attempts, waiting about 20ms and doubling up to 2s, for some errors only, \
///      retries at most 20% of calls and 10 a second"
/// );
/// ```
#[derive(Debug, Clone)]
pub struct Retry {
    attempts: u32,
    delay: Delay,
    jitter: Option<f64>,
    when: Option<fn(&HandlerError) -> bool>,
    budget: Option<RetryBudget>,
}

impl Default for Retry {
    fn default() -> Self {
        Self::attempts(4)
    }
}

impl Retry {
    /// This many attempts in all, the first one counted.
    #[must_use]
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts,
            delay: Delay::Exponential {
                first: Duration::from_millis(50),
                limit: Duration::from_secs(10),
                jitter: JITTER,
            },
            jitter: None,
            when: None,
            budget: Some(RetryBudget::default()),
        }
    }

    /// Waits this long between attempts: exactly, unless a [jitter](Self::jitter) is set.
    #[must_use]
    pub fn fixed(mut self, delay: Duration) -> Self {
        let jitter = self.jitter.unwrap_or(0.0);
        self.delay = Delay::Fixed { delay, jitter };
        self
    }

    /// Waits about `first`, then twice that, and so on up to `limit`.
    ///
    /// The n-th wait is `min(first · 2ⁿ⁻¹, limit)`, spread by its [jitter](Self::jitter), which is 0.5 unless
    /// set: the formula of the `backoff` crate, which has it from Google's HTTP client for Java
    /// (`ExponentialBackOff`).
    #[must_use]
    pub fn exponential(mut self, first: Duration, limit: Duration) -> Self {
        let jitter = self.jitter.unwrap_or(JITTER);
        self.delay = Delay::Exponential { first, limit, jitter };
        self
    }

    /// Waits between `first` and three times the wait before, at random, up to `limit`.
    ///
    /// Each wait is `min(limit, U(first, 3 · the wait before))`, and for the first one the wait before is
    /// `first`: the "decorrelated jitter" of Marc Brooker, *Exponential Backoff And Jitter*,
    /// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>. It is all chance, so a
    /// [jitter](Self::jitter) does not apply.
    #[must_use]
    pub fn decorrelated(mut self, first: Duration, limit: Duration) -> Self {
        self.delay = Delay::Decorrelated { first, limit };
        self
    }

    /// Spreads each fixed or exponential wait at random by this share of it either way, so that those who
    /// failed together do not come back together: 0.0 not at all, 1.0 from nothing to twice as long.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = Some(share);
        if let Delay::Fixed { jitter, .. } | Delay::Exponential { jitter, .. } = &mut self.delay {
            *jitter = share;
        }
        self
    }

    /// Tries again only after errors for which this is true. It is asked only of errors that may get better
    /// ([`HandlerError::is_retryable`]), so it can take from those and add nothing.
    #[must_use]
    pub fn when(mut self, is_worth_it: fn(&HandlerError) -> bool) -> Self {
        self.when = Some(is_worth_it);
        self
    }

    /// Tries again only as far as this budget allows, together with all others who have a clone of it.
    #[must_use]
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Tries again whatever others do. When everything fails, the load is multiplied by the number of
    /// attempts.
    #[must_use]
    pub fn without_budget(mut self) -> Self {
        self.budget = None;
        self
    }

    pub(super) fn invalid(&self) -> Vec<InvalidSetting> {
        let jitter = self.jitter.and_then(delay::invalid_jitter);
        [InvalidSetting::if_zero("attempts", self.attempts), jitter]
            .into_iter()
            .flatten()
            .chain(self.budget.iter().flat_map(RetryBudget::invalid))
            .collect()
    }

    fn began(&self) {
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
    }

    fn is_worth_it(&self, error: &HandlerError) -> bool {
        error.is_retryable() && self.when.is_none_or(|when| when(error))
    }

    fn may_retry(&self) -> Result<(), Spent> {
        self.budget.as_ref().map_or(Ok(()), RetryBudget::withdraw)
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retry, {} attempts, {}", self.attempts, self.delay)?;
        if self.when.is_some() {
            f.write_str(", for some errors only")?;
        }
        match &self.budget {
            Some(budget) => write!(f, ", {budget}"),
            None => f.write_str(", without a budget"),
        }
    }
}
