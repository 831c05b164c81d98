//! How much room is left under the limit of outstanding messages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a count is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// The room under a limit, counted now and then: counting at every deposit would cost as much as the deposit.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) limit: u64,
    counted: Arc<Mutex<Option<(Instant, u64)>>>,
}

impl Room {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            counted: Arc::default(),
        }
    }

    /// Takes room for this many, if a count of late says that there is some.
    pub(super) fn take(&self, wanted: u64) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *counted {
            Some((when, left)) if when.elapsed() < BELIEVED && *left >= wanted => {
                *left -= wanted;
                true
            }
            _ => false,
        }
    }

    /// Notes that this many are outstanding.
    pub(super) fn count(&self, outstanding: u64) {
        let left = self.limit.saturating_sub(outstanding);
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), left));
    }
}
