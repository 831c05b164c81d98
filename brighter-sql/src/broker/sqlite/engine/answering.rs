//! Answers the requests of callers.

use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite};

use super::Engine;
use crate::broker::sqlite::broker_tx::depth;
use crate::broker::sqlite::declare::Declare;
use crate::broker::sqlite::error::FileFailure;
use crate::broker::sqlite::request::EngineRequest;
use crate::broker::sqlite::row;
use crate::broker::sqlite::temporary::{Leave, TakeOut};
use crate::database::backend::Backend;
use crate::database::error::DatabaseError;
use crate::database::value::Sql;
use brighter_core::__private::report;
use brighter_core::channel::{Channel, ChannelError, ChannelUsage, SilentConsumer};
use brighter_core::message::{ChannelName, Message};

impl Engine {
    pub(super) async fn answer(&mut self, request: EngineRequest) {
        match request {
            EngineRequest::Declare(channel, reply) => {
                let _ = reply.send(self.declare(&channel).await.map(drop));
            }
            EngineRequest::Consume(channel, consumer, buffer, reply) => {
                let declared = self.declare(&channel).await;
                let added = declared.map(|id| {
                    let capacity = u32::from(channel.buffer.get());
                    self.consumers.add(consumer, id, capacity, buffer);
                });
                // A caller that no longer waits sends `Leave`.
                let _ = reply.send(added);
            }
            EngineRequest::Leave(consumer, gone) => {
                let channel = self.consumers.remove(consumer);
                if let Some(channel) = channel {
                    self.leave(channel).await;
                }
                let limits = channel.and_then(|channel| self.topology.limits(channel));
                if limits.is_some_and(|limits| limits.single_active_consumer) {
                    self.left.push(consumer);
                }
                // A caller that only dropped the consumer does not wait.
                let _ = gone.send(());
            }
            EngineRequest::Remove(name, reply) => {
                let removed = self.remove(&name).await;
                let _ = reply.send(removed.map_err(|error| FileFailure::new(error).of_channel()));
            }
            EngineRequest::Flush(reply) => {
                // All that could be written was written before this check.
                let failure = self.queue.failure().filter(|_| !self.settled.is_empty());
                let _ = reply.send(failure.map_or(Ok(()), |failure| Err(failure.of_channel())));
            }
            #[cfg(test)]
            #[allow(clippy::panic, reason = "what the test is about")]
            EngineRequest::Panic => panic!("as asked"),
            EngineRequest::Usages(reply) => {
                let usages = self.usages().await;
                let _ = reply.send(usages.map_err(|error| FileFailure::new(error).of_channel()));
            }
            EngineRequest::Silent(reply) => {
                let silent = self.silent().await;
                let _ = reply.send(silent.map_err(|error| FileFailure::new(error).of_channel()));
            }
            EngineRequest::Depth(name, reply) => {
                let _ = reply.send(self.depth(&name).await);
            }
            EngineRequest::Waiting(name, most, reply) => {
                let _ = reply.send(self.waiting(&name, most).await);
            }
        }
    }

    /// The processes that have missed a sign of life and hold something. A session says that it is alive when a third of
    /// its lease has passed, so that one with less than half of it left is late.
    async fn silent(&mut self) -> Result<Vec<SilentConsumer>, DatabaseError> {
        let (now, late, own) = (row::now(), self.lease / 2, self.session.unwrap_or(0));
        let reader = self.reader().await?;
        let rows = sqlx::query(
            "SELECT s.id, s.alive_until, count(*) FROM brighter_broker_sessions s \
             JOIN brighter_broker_held h ON h.session = s.id \
             WHERE s.id <> ?1 AND s.alive_until < ?2 GROUP BY s.id ORDER BY s.id",
        )
        .bind(own)
        .bind(now.saturating_add(late))
        .fetch_all(&mut **reader)
        .await
        .map_err(Sqlite::sort)?;
        let silent = |row: &SqliteRow| {
            let (session, until): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let held: i64 = row.try_get(2)?;
            let left = Duration::from_millis(until.saturating_sub(now).max(0).unsigned_abs());
            Ok(SilentConsumer::new(
                format!("session {session}"),
                held.unsigned_abs(),
                left,
            ))
        };
        let silent: Result<_, sqlx::Error> = rows.iter().map(silent).collect();
        silent.map_err(Sqlite::sort)
    }

    /// Removes a channel with all its messages, and ends its consumers. Other processes end theirs when they read the
    /// change.
    async fn remove(&mut self, name: &ChannelName) -> Result<(), DatabaseError> {
        self.look().await?;
        if let Some(channel) = self.topology.find(name) {
            self.database.write(TakeOut(channel)).await?;
            self.look().await?;
        }
        Ok(())
    }

    /// Removes a temporary channel without a consumer. If that fails, the channel is removed with the session.
    async fn leave(&mut self, channel: i64) {
        if self.temporary.remove(&channel)
            && !self.consumers.consume(channel)
            && let Err(error) = self.database.write(Leave(channel)).await
        {
            tracing::debug!(
                error = report(&FileFailure::new(error)),
                "cannot remove a temporary channel now; it is removed at the end of the session"
            );
        }
    }

    async fn declare(&mut self, channel: &Channel) -> Result<i64, ChannelError> {
        let mut session = self.session.map(|session| (session, self.alive_until));
        let declare = Declare {
            channel,
            topology: &mut self.topology,
            session: &mut session,
            lease: self.lease,
        };
        let id = match self.database.write(declare).await {
            Ok(declared) => declared?,
            Err(error) => return Err(FileFailure::new(error).of_channel()),
        };
        if let Some((session, alive_until)) = session {
            if self.session.is_some_and(|before| before != session) {
                self.consumers.recall();
            }
            (self.session, self.alive_until) = (Some(session), alive_until);
        }
        if channel.idle_timeout.is_some() {
            self.temporary.insert(id);
        }
        // Consumers need the limits of the channel before the first batch.
        if let Err(error) = self.look().await {
            return Err(FileFailure::new(error).of_channel());
        }
        Ok(id)
    }

    /// Returns every channel, sorted by name. The file does not show whether other processes consume a channel.
    pub(super) async fn usages(&mut self) -> Result<Vec<ChannelUsage>, DatabaseError> {
        self.look().await?;
        let mut usages: Vec<_> = self.topology.usages().collect();
        usages.sort_unstable_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        for (channel, usage) in &mut usages {
            let reader = self.reader().await?;
            let waiting = depth(reader, *channel).await.map_err(Sqlite::sort)?;
            usage.waiting = waiting.max(0).unsigned_abs();
        }
        Ok(usages.into_iter().map(|(_, usage)| usage).collect())
    }

    async fn depth(&mut self, name: &ChannelName) -> Result<Option<u64>, ChannelError> {
        let read = async {
            self.look().await?;
            let Some(channel) = self.topology.find(name) else {
                return Ok(None);
            };
            let reader = self.reader().await?;
            let depth = depth(reader, channel).await.map_err(Sqlite::sort)?;
            Ok(Some(depth.max(0).unsigned_abs()))
        };
        read.await
            .map_err(|error: DatabaseError| FileFailure::new(error).of_channel())
    }

    async fn waiting(&mut self, name: &ChannelName, most: u32) -> Result<Vec<Message>, ChannelError> {
        let read = async {
            self.look().await?;
            let Some(channel) = self.topology.find(name) else {
                return Ok(Vec::new());
            };
            let reader = self.reader().await?;
            let rows = sqlx::query(
                "SELECT m.header, m.body FROM brighter_broker_messages m WHERE m.channel = ?1 \
                 AND NOT EXISTS (SELECT 1 FROM brighter_broker_held h WHERE h.seq = m.seq) \
                 ORDER BY m.priority DESC, m.seq LIMIT ?2",
            )
            .bind(channel)
            .bind(most)
            .fetch_all(&mut **reader)
            .await
            .map_err(Sqlite::sort)?;
            let read = |row| row::message(row, 0).unwrap_or_else(|_| row::salvaged(row, 0, name.as_str()));
            Ok(rows.iter().map(read).collect())
        };
        read.await
            .map_err(|error: DatabaseError| FileFailure::new(error).of_channel())
    }
}
