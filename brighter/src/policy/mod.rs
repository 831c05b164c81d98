//! Policies: what stands between a handler and the failures around it.
//!
//! A [`Policy`] is named in a [`PolicyRegistry`] and shared by every handler that names it, or written in the
//! attribute and a handler's own. No policy acts on a pump action ([`Defer`](crate::Defer) and its like).

mod circuit_breaker;
mod delay;
mod registry;
mod retry;
mod service;

use std::fmt;
use std::time::Duration;

pub use circuit_breaker::{CircuitBreaker, CircuitState};
pub use registry::PolicyRegistry;
pub use retry::Retry;
pub use service::{PolicyFuture, PolicyLayer, PolicyService};

/// One policy.
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
}

impl Policy {
    /// Gives up after this long, with [`HandlerError::TimedOut`](crate::HandlerError::TimedOut).
    #[must_use]
    pub fn timeout(after: Duration) -> Self {
        Self::Timeout(after)
    }

    pub(crate) fn layer_named(self, name: &str) -> PolicyLayer {
        PolicyLayer::new(name, self)
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

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Retry(retry) => retry.fmt(f),
            Self::CircuitBreaker(breaker) => breaker.fmt(f),
            Self::Timeout(after) => write!(f, "timeout of {after:?}"),
        }
    }
}
