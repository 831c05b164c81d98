//! Policies: what stands between a handler and the failures around it.
//!
//! A [`Policy`] is named in a [`PolicyRegistry`] and shared by every handler that names it, or written in the
//! attribute and a handler's own. No policy acts on a pump action ([`Defer`](crate::Defer) and its like).
//!
//! | policy | does | refuses with |
//! |---|---|---|
//! | [`Retry`] | tries again, within a [`RetryBudget`] | the error of the last attempt |
//! | [`CircuitBreaker`] | stops calling what keeps failing | [`BrokenCircuit`](crate::HandlerError::BrokenCircuit) |
//! | [`Policy::timeout`] | gives up after a time | [`TimedOut`](crate::HandlerError::TimedOut) |
//! | [`ConcurrencyLimit`] | lets so many run at a time | [`Overloaded`](crate::HandlerError::Overloaded) |
//! | [`RateLimit`] | lets so many begin within a time | [`Overloaded`](crate::HandlerError::Overloaded), if told to |
//!
//! Order matters: a breaker outside a retry counts the whole of it as one call, and one inside counts every
//! attempt and ends the retry when it opens. A timeout outside a retry is for all attempts together, and one
//! inside is for each.
//!
//! All time is tokio's, so tests can pause it.

mod circuit_breaker;
#[cfg(feature = "config")]
mod configure;
mod delay;
mod limit;
mod named;
mod registry;
mod retry;
mod service;
mod share;
#[cfg(test)]
mod tests;
mod time_window;

use std::fmt;
use std::time::Duration;

pub use circuit_breaker::{CircuitBreaker, CircuitChanges, CircuitState, SlidingWindow};
pub(crate) use circuit_breaker::{Permit, Verdict};
pub(crate) use delay::spread;
pub use limit::{ConcurrencyLimit, RateLimit};
pub use registry::PolicyRegistry;
pub use retry::{Retry, RetryBudget};
pub use service::{PolicyFuture, PolicyLayer, PolicyService};

use brighter_core::error::InvalidSetting;

/// One policy.
///
/// Whatever makes one can stand in a [`PolicyRegistry`] or in the attribute itself:
///
/// ```
/// use std::time::Duration;
/// use brighter::policy::{ConcurrencyLimit, Policy, PolicyRegistry};
///
/// let policies = PolicyRegistry::default()
///     .insert("patience", Policy::timeout(Duration::from_secs(5)))
///     .insert("reports", ConcurrencyLimit::at_most(4));
/// assert_eq!(policies.get("patience").unwrap().to_string(), "timeout of 5s");
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Policy {
    /// Lets everything through.
    #[default]
    None,
    /// Tries again.
    Retry(Retry),
    /// Stops calling what keeps failing.
    CircuitBreaker(CircuitBreaker),
    /// Gives up after this long.
    Timeout(Duration),
    /// Lets so many run at a time.
    ConcurrencyLimit(ConcurrencyLimit),
    /// Lets so many begin within a time.
    RateLimit(RateLimit),
}

impl Policy {
    /// Gives up after this long, with [`HandlerError::TimedOut`](crate::HandlerError::TimedOut).
    #[must_use]
    pub fn timeout(after: Duration) -> Self {
        Self::Timeout(after)
    }

    /// Returns the settings that have a value they cannot have.
    pub(crate) fn invalid(&self) -> Vec<InvalidSetting> {
        match self {
            Self::None | Self::Timeout(_) => Vec::new(),
            Self::Retry(retry) => retry.invalid(),
            Self::CircuitBreaker(breaker) => breaker.invalid(),
            Self::ConcurrencyLimit(limit) => limit.invalid().into_iter().collect(),
            Self::RateLimit(limit) => limit.invalid().into_iter().collect(),
        }
    }
}

impl From<Retry> for Policy {
    fn from(retry: Retry) -> Self {
        Self::Retry(retry)
    }
}

impl From<CircuitBreaker> for Policy {
    fn from(breaker: CircuitBreaker) -> Self {
        Self::CircuitBreaker(breaker)
    }
}

impl From<ConcurrencyLimit> for Policy {
    fn from(limit: ConcurrencyLimit) -> Self {
        Self::ConcurrencyLimit(limit)
    }
}

impl From<RateLimit> for Policy {
    fn from(limit: RateLimit) -> Self {
        Self::RateLimit(limit)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Retry(retry) => retry.fmt(f),
            Self::CircuitBreaker(breaker) => breaker.fmt(f),
            Self::ConcurrencyLimit(limit) => limit.fmt(f),
            Self::RateLimit(limit) => limit.fmt(f),
            Self::Timeout(after) => write!(f, "timeout of {after:?}"),
        }
    }
}
