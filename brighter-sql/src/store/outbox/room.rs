//! [`Room`]: the room below the limit of outstanding messages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::database::value::Sql;
use brighter_core::message::Message;
use brighter_core::outbox::OutboxError;

/// How long a count is used.
const BELIEVED: Duration = Duration::from_secs(1);

/// The room below a limit, counted at intervals: a count at every deposit would cost as much as the deposit.
#[derive(Debug, Clone)]
pub(super) struct Room {
    limit: u64,
    counted: Arc<Mutex<Option<(Instant, u64)>>>,
}

impl Room {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            counted: Arc::default(),
        }
    }

    /// Takes room for this many messages, if a recent count leaves some.
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

    /// Records that this many messages are outstanding.
    fn count(&self, outstanding: u64) {
        let left = self.limit.saturating_sub(outstanding);
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), left));
    }

    /// Returns the limit as a number of the database.
    pub(super) fn limit(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX)
    }

    /// Takes room for these messages, by the count in the rows.
    pub(super) fn check<D: Sql>(&self, rows: &[D::Row], messages: &[Message]) -> Result<(), OutboxError> {
        let outstanding = rows.first().map_or(Ok(0), |row| D::number(row, 0));
        self.count(outstanding.map_err(D::sort)?.unsigned_abs());
        if self.take(messages.len() as u64) {
            return Ok(());
        }
        let reason = format!("at most {} messages may be outstanding", self.limit);
        Err(OutboxError::Full(reason.into()))
    }
}
