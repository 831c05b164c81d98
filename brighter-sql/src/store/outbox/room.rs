//! How much room is left under the limit of outstanding messages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::SqlOutbox;
use crate::database::backend::Backend;
use crate::database::value::{Sql, Value};
use brighter_core::message::Message;
use brighter_core::outbox::OutboxError;

/// How long a count is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// The room under a limit, counted now and then: counting at every deposit would cost as much as the deposit.
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

    /// Takes room for this many, if a count of late says that there is some.
    fn take(&self, wanted: u64) -> bool {
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
    fn count(&self, outstanding: u64) {
        let left = self.limit.saturating_sub(outstanding);
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), left));
    }
}

impl<B: Backend> SqlOutbox<B> {
    /// Whether those outstanding have to be counted before these are stored.
    pub(super) fn is_counted(&self, messages: &[Message]) -> bool {
        self.room
            .as_ref()
            .is_some_and(|room| !room.take(messages.len() as u64))
    }

    /// Counts those outstanding, and refuses these if there is no room for them.
    pub(super) async fn check_room(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        messages: &[Message],
    ) -> Result<(), OutboxError> {
        let Some(room) = &self.room else { return Ok(()) };
        let limit = i64::try_from(room.limit).unwrap_or(i64::MAX);
        let rows = B::Db::fetch(connection, &self.statements.count, &[Value::Number(limit)]).await;
        let rows = rows.map_err(B::Db::sort)?;
        let outstanding = rows.first().map_or(Ok(0), |row| B::Db::number(row, 0));
        room.count(outstanding.map_err(B::Db::sort)?.unsigned_abs());
        if room.take(messages.len() as u64) {
            return Ok(());
        }
        let reason = format!("at most {} messages may be outstanding", room.limit);
        Err(OutboxError::Full(reason.into()))
    }
}
