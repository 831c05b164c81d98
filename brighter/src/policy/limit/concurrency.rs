//! [`ConcurrencyLimit`]: so many at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, TryAcquireError};

use super::{Admission, overloaded, wait};
use crate::handler::Call;
use brighter_core::error::{HandlerError, InvalidSetting};

/// Lets so many calls run at a time, so that one slow dependency cannot take everything: a bulkhead.
///
/// A call too many is refused at once with [`HandlerError::Overloaded`], which no policy retries, unless it
/// may [wait](Self::wait_timeout). Who waits is let in by turns; a shutdown ends the wait with
/// [`HandlerError::Cancelled`]. A call that ends, fails, panics or is dropped gives up its place.
///
/// Clones share the places, and so do all who name one policy of a
/// [`PolicyRegistry`](super::super::PolicyRegistry).
///
/// ```
/// use std::time::Duration;
/// use brighter::policy::{ConcurrencyLimit, PolicyRegistry};
///
/// let reports = ConcurrencyLimit::at_most(8).wait_timeout(Duration::from_secs(2));
/// let policies = PolicyRegistry::default().insert("reports", reports.clone());
/// assert_eq!(reports.free(), 8);
/// ```
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit {
    places: Arc<Semaphore>,
    all: usize,
    wait: Option<Duration>,
}

impl ConcurrencyLimit {
    /// At most this many calls at a time.
    #[must_use]
    pub fn at_most(calls: usize) -> Self {
        // A semaphore panics beyond its maximum. `build()` refuses what is beyond it.
        let places = Semaphore::new(calls.min(Semaphore::MAX_PERMITS));
        Self {
            places: Arc::new(places),
            all: calls,
            wait: None,
        }
    }

    /// Sets how long a call above the limit waits before it is refused. The permits stay shared
    /// with its clones.
    #[must_use]
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait = (!timeout.is_zero()).then_some(timeout);
        self
    }

    /// How many places are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.places.available_permits()
    }

    pub(in crate::policy) fn invalid(&self) -> Option<InvalidSetting> {
        let is_allowed = (1..=Semaphore::MAX_PERMITS).contains(&self.all);
        InvalidSetting::unless(is_allowed, "at_most", self.all, "between 1 and usize::MAX / 8")
    }

    pub(in crate::policy) fn enter<R>(&self, policy: &Arc<str>, call: &Call<R>) -> Admission
    where
        R: Send + Sync + 'static,
    {
        match (Arc::clone(&self.places).try_acquire_owned(), self.wait) {
            (Ok(place), _) => Admission::Now(Some(place)),
            (Err(TryAcquireError::Closed), _) => Admission::Refused(HandlerError::Cancelled),
            (Err(TryAcquireError::NoPermits), None) => Admission::Refused(overloaded(policy, Duration::ZERO)),
            (Err(TryAcquireError::NoPermits), Some(_)) => {
                let places = Arc::clone(&self.places);
                let place = async { places.acquire_owned().await.ok().map(Some) };
                Admission::Later(Box::pin(wait(place, self.wait, Arc::clone(policy), call.clone())))
            }
        }
    }
}

impl fmt::Display for ConcurrencyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "concurrency limit, {} at a time, ", self.all)?;
        match self.wait {
            None => f.write_str("refuses at once"),
            Some(wait) => write!(f, "waits {wait:?} at most"),
        }
    }
}
