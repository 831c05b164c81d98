//! [`RateLimit`]: so many within a time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Admission, wait};
use crate::handler::Call;
use brighter_core::__private::clock::after;
use brighter_core::error::InvalidSetting;

/// Lets so many calls begin within a time, for a dependency that counts them.
///
/// Within any stretch of this length, wherever it begins, no more calls begin than that: it keeps the times of
/// the last ones ("sliding window log"), where a token bucket would let through up to twice as many after a
/// pause. So its memory is an instant for each.
///
/// A call too many waits its turn, in the order of coming; a shutdown ends the wait with
/// [`HandlerError::Cancelled`](crate::HandlerError::Cancelled), and [`wait_timeout`](Self::wait_timeout) ends
/// it with [`HandlerError::Overloaded`](crate::HandlerError::Overloaded). A call that is dropped while it
/// waits takes nobody's turn.
///
/// Clones share the count, and so do all who name one policy of a
/// [`PolicyRegistry`](super::super::PolicyRegistry).
///
/// ```
/// use std::time::Duration;
/// use brighter::policy::{PolicyRegistry, RateLimit};
///
/// let policies = PolicyRegistry::default().insert("sms", RateLimit::new(30, Duration::from_secs(1)));
/// # assert_eq!(policies.get("sms").unwrap().to_string(), "rate limit, 30 within 1s, waits its turn");
/// ```
#[derive(Debug, Clone)]
pub struct RateLimit {
    log: Arc<Log>,
    wait: Option<Duration>,
}

#[derive(Debug)]
struct Log {
    calls: u32,
    within: Duration,
    /// The right to be the next to begin. Held through a wait, and given up by who is dropped.
    turn: Semaphore,
    /// When the last ones began, the oldest first; as many as may begin within the time.
    began: Mutex<VecDeque<Instant>>,
}

impl RateLimit {
    /// At most this many calls within this time.
    #[must_use]
    pub fn new(calls: u32, within: Duration) -> Self {
        let log = Log {
            calls,
            within,
            turn: Semaphore::new(1),
            began: Mutex::new(VecDeque::new()),
        };
        Self {
            log: Arc::new(log),
            wait: None,
        }
    }

    /// Sets how long a call above the limit waits before it is refused. The count stays shared with its clones.
    #[must_use]
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait = Some(timeout);
        self
    }

    pub(in crate::policy) fn invalid(&self) -> Option<InvalidSetting> {
        InvalidSetting::if_zero("calls", self.log.calls)
    }

    pub(in crate::policy) fn enter<R>(&self, policy: &Arc<str>, call: &Call<R>) -> Admission
    where
        R: Send + Sync + 'static,
    {
        // Not past those who wait already.
        if let Ok(_turn) = self.log.turn.try_acquire()
            && self.log.begin().is_ok()
        {
            return Admission::Now(None);
        }
        let log = Arc::clone(&self.log);
        let place = async move {
            let _turn = log.turn.acquire().await.ok()?;
            while let Err(at) = log.begin() {
                tokio::time::sleep_until(at).await;
            }
            Some(None)
        };
        Admission::Later(Box::pin(wait(place, self.wait, Arc::clone(policy), call.clone())))
    }
}

impl Log {
    /// Notes a beginning, or says when there can be one.
    fn begin(&self) -> Result<(), Instant> {
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if began.len() >= self.calls as usize {
            if let Some(oldest) = began.front()
                && now.saturating_duration_since(*oldest) < self.within
            {
                let left = self.within - now.saturating_duration_since(*oldest);
                return Err(after(now, left));
            }
            began.pop_front();
        }
        began.push_back(now);
        Ok(())
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Log { calls, within, .. } = &*self.log;
        write!(f, "rate limit, {calls} within {within:?}, ")?;
        match self.wait {
            None => f.write_str("waits its turn"),
            Some(wait) => write!(f, "waits {wait:?} at most"),
        }
    }
}
