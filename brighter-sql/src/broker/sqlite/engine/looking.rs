//! Detects changes by other processes.

use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Row as _, Sqlite};
use tokio::time::{Instant, sleep_until};

use super::Engine;
use crate::broker::sqlite::error::FileFailure;
use crate::broker::sqlite::row;
use crate::broker::sqlite::state::FileState;
use crate::broker::sqlite::topology::FileTopology;
use crate::database::backend::Backend;
use crate::database::error::DatabaseError;
use crate::database::value::Sql;

impl Engine {
    /// Changes by others matter only for consumers with room, and are looked for at intervals.
    pub(super) fn is_time_to_look(&self) -> bool {
        !self.consumers.are_empty() && self.retry_at.is_none() && self.pace.is_due()
    }

    pub(super) async fn reader(&mut self) -> Result<&mut PoolConnection<Sqlite>, DatabaseError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                self.seen = -1;
                self.database.pool().acquire().await.map_err(Sqlite::sort)?
            }
        };
        Ok(self.reader.insert(reader))
    }

    /// Waits until there may be something to do.
    pub(super) async fn wait(&mut self) {
        let in_time = self.next_time().map(|time| {
            let millis = time.saturating_sub(row::now()).max(0).unsigned_abs();
            Instant::now() + Duration::from_millis(millis)
        });
        let look = (!self.consumers.are_empty()).then(|| self.pace.next());
        let next = self.retry_at.or([in_time, look].into_iter().flatten().min());
        let sleep = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        let queue = Arc::clone(&self.queue);
        let is_time = tokio::select! {
            () = queue.wake.notified() => false,
            () = queue.closing.cancelled() => false,
            () = sleep => true,
        };
        // Another process may have done the due work already.
        if is_time && in_time.is_some_and(|time| time <= Instant::now()) {
            self.look_out().await;
        }
    }

    pub(super) async fn look_out(&mut self) {
        if let Err(error) = self.look().await {
            self.reader = None;
            self.failed(FileFailure::new(error), Vec::new(), Instant::now());
        }
    }

    /// Checks whether other processes have written, and reads their changes.
    pub(super) async fn look(&mut self) -> Result<(), DatabaseError> {
        let (seen, session) = (self.seen, self.session);
        let reader = self.reader().await?;
        let version: i64 = sqlx::query("PRAGMA data_version")
            .fetch_one(&mut **reader)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(Sqlite::sort)?;
        if version == seen {
            self.pace.slacken();
            return Ok(());
        }
        let state = FileState::read(reader, session).await.map_err(Sqlite::sort)?;
        if state.topology != self.topology.version {
            let reader = self.reader().await?;
            self.topology = FileTopology::load(state.topology, reader)
                .await
                .map_err(Sqlite::sort)?;
            self.end_orphans();
        }
        self.times = state.times;
        for channel in self.consumers.hungry() {
            let reader = self.reader().await?;
            let found = sqlx::query(
                "SELECT 1 FROM brighter_broker_channels c WHERE c.id = ?1 \
                 AND (c.single_active = 0 OR c.active_session IS NULL OR c.active_session = ?2) \
                 AND EXISTS (SELECT 1 FROM brighter_broker_messages m WHERE m.channel = c.id \
                 AND NOT EXISTS (SELECT 1 FROM brighter_broker_held h WHERE h.seq = m.seq))",
            )
            .bind(channel)
            .bind(session)
            .fetch_optional(&mut **reader)
            .await
            .map_err(Sqlite::sort)?;
            if found.is_some() {
                self.consumers.may_have(channel);
            }
        }
        // Set last: after an error, the change is read again.
        self.seen = version;
        self.pace.found();
        Ok(())
    }
}
