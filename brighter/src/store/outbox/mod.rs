//! The outbox in a database, whichever it is.

mod options;
mod room;
mod statements;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use options::OutboxOptions;

use room::Room;
use statements::Statements;
use work::{Claiming, Deposit, Execute, Failing};

use super::row;
use crate::database::backend::{Backend, Work, connection, reading};
use crate::database::schema::Schema;
use crate::database::value::{Sql, Statement, Value};
use crate::id::MessageId;
use crate::message::Message;
use crate::outbox::{Claim, Claimed, DeadMessage, Failure, MessageState, OutboxError, OutboxStatus};

/// The outbox in a database.
#[derive(Debug, Clone)]
pub(crate) struct SqlOutbox<B> {
    backend: B,
    statements: Arc<Statements>,
    room: Option<Room>,
}

/// The tables of an outbox.
pub(crate) fn schema<D: Sql>(options: &OutboxOptions) -> Result<Schema, OutboxError> {
    let table = options.table_name()?;
    Ok(Schema::new(
        "outbox",
        options::TABLE,
        table,
        D::DIALECT.schema.outbox,
    ))
}

impl<B: Backend> SqlOutbox<B> {
    /// Makes the tables or brings them up to date.
    pub(crate) async fn open(backend: B, options: &OutboxOptions) -> Result<Self, OutboxError> {
        let schema = schema::<B::Db>(options)?;
        reading(schema.apply(&backend)).await?;
        Ok(Self {
            statements: Arc::new(Statements::new(&B::Db::DIALECT, options.table_name()?)),
            room: options.limit.map(Room::new),
            backend,
        })
    }

    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    pub(crate) async fn deposit(
        &self,
        messages: &[Message],
        lease: Option<Duration>,
    ) -> Result<Vec<MessageId>, OutboxError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        if self.is_counted(messages) {
            let mut connection = connection(self.backend.pool()).await?;
            reading(self.check_room(&mut connection, messages)).await?;
        }
        self.backend.write(self.depositing(messages, lease)).await
    }

    /// The same in a transaction of the application.
    pub(crate) async fn deposit_in(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        messages: &[Message],
    ) -> Result<(), OutboxError> {
        if messages.is_empty() {
            return Ok(());
        }
        reading(async {
            if self.is_counted(messages) {
                self.check_room(connection, messages).await?;
            }
            Work::<B::Db>::run(self.depositing(messages, None), connection).await
        })
        .await
        .map(drop)
    }

    fn depositing<'a>(&'a self, messages: &'a [Message], lease: Option<Duration>) -> Deposit<'a> {
        Deposit {
            statements: &self.statements,
            messages,
            lease: lease.map_or(0, row::millis),
        }
    }

    /// Whether those outstanding have to be counted before these are stored.
    fn is_counted(&self, messages: &[Message]) -> bool {
        self.room
            .as_ref()
            .is_some_and(|room| !room.take(messages.len() as u64))
    }

    async fn check_room(
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

    pub(crate) async fn claim(&self, which: Claim<'_>, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let lease = row::millis(lease);
        let ids;
        let (claim, values) = match which {
            Claim::Ids([]) | Claim::Oldest { limit: 0, .. } => return Ok(Vec::new()),
            Claim::Ids(wanted) => {
                ids = row::list::<B::Db>(wanted)?;
                let values = [Value::Text(&ids), Value::Number(lease)];
                (&self.statements.claim_ids, values.to_vec())
            }
            Claim::Oldest { limit, min_age } => {
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let values = [lease, row::millis(min_age), limit].map(Value::Number);
                (&self.statements.claim_oldest, values.to_vec())
            }
        };
        self.backend
            .write(Claiming {
                statements: &self.statements,
                claim,
                values: &values,
                lease,
                before: B::Db::DIALECT.before_claim,
            })
            .await
    }

    pub(crate) async fn mark_dispatched(&self, ids: &[MessageId]) -> Result<(), OutboxError> {
        self.update(&self.statements.dispatched, ids).await.map(drop)
    }

    pub(crate) async fn release(&self, ids: &[MessageId]) -> Result<(), OutboxError> {
        self.update(&self.statements.release, ids).await.map(drop)
    }

    pub(crate) async fn revive(&self, ids: &[MessageId]) -> Result<u64, OutboxError> {
        self.update(&self.statements.revive, ids).await
    }

    async fn update(&self, statement: &Statement, ids: &[MessageId]) -> Result<u64, OutboxError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let ids = row::list::<B::Db>(ids)?;
        let value = Value::Text(&ids);
        self.backend.write(Execute { statement, value }).await
    }

    pub(crate) async fn mark_failed(&self, failures: &[Failure]) -> Result<(), OutboxError> {
        if failures.is_empty() {
            return Ok(());
        }
        let statements = &self.statements;
        self.backend.write(Failing { statements, failures }).await
    }

    pub(crate) async fn replay(&self, causation: &MessageId) -> Result<u64, OutboxError> {
        let (statement, causation) = (&self.statements.replay, row::id_text::<B::Db>(causation));
        let value = Value::Text(&causation);
        self.backend.write(Execute { statement, value }).await
    }

    pub(crate) async fn get(&self, ids: &[MessageId]) -> Result<Vec<Message>, OutboxError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = row::list::<B::Db>(ids)?;
        let rows = self.read(&self.statements.get, Value::Text(&wanted)).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let message =
                row::message::<B::Db>(row, 0).map_err(|source| row::corrupt::<B::Db>(row, 0, source))?;
            found.insert(message.header.id.clone(), message);
        }
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    pub(crate) async fn state(&self, id: &MessageId) -> Result<Option<MessageState>, OutboxError> {
        let id = row::id_text::<B::Db>(id);
        let rows = self.read(&self.statements.state, Value::Text(&id)).await?;
        let state = |row| {
            let (how_far, attempts) = (B::Db::number(row, 0)?, attempts::<B::Db>(row, 1)?);
            let last_error = B::Db::maybe_text(row, 2)?.map(str::to_owned);
            Ok(match how_far {
                0 => MessageState::Dispatched,
                2 => MessageState::dead(attempts, last_error),
                _ => MessageState::outstanding(attempts, last_error),
            })
        };
        Ok(rows.first().map(state).transpose().map_err(B::Db::sort)?)
    }

    pub(crate) async fn status(&self) -> Result<OutboxStatus, OutboxError> {
        let rows = self.read(&self.statements.status, Value::Number(0)).await?;
        let status = |row| {
            let (outstanding, dead) = (B::Db::number(row, 0)?, B::Db::number(row, 2)?);
            // The age is negative when the clock was put back.
            let oldest =
                B::Db::maybe_number(row, 1)?.map(|age| Duration::from_millis(age.try_into().unwrap_or(0)));
            Ok(OutboxStatus::new(outstanding.unsigned_abs(), oldest).with_dead(dead.unsigned_abs()))
        };
        let status = rows.first().map(status).transpose().map_err(B::Db::sort)?;
        Ok(status.unwrap_or_default())
    }

    pub(crate) async fn dead(&self, limit: usize) -> Result<Vec<DeadMessage>, OutboxError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read(&self.statements.dead, Value::Number(limit)).await?;
        let dead = |row| {
            let (id, topic) = (B::Db::text(row, 0)?, B::Db::text(row, 1)?);
            let last_error = B::Db::maybe_text(row, 3)?.unwrap_or_default();
            let (id, topic) = (row::restored::<B::Db>(id), row::restored::<B::Db>(topic));
            let attempts = attempts::<B::Db>(row, 2)?;
            Ok(DeadMessage::new(
                (*id).into(),
                (*topic).into(),
                attempts,
                last_error,
            ))
        };
        let dead: Result<_, sqlx::Error> = rows.iter().map(dead).collect();
        Ok(dead.map_err(B::Db::sort)?)
    }

    async fn read(
        &self,
        statement: &Statement,
        value: Value<'_>,
    ) -> Result<Vec<<B::Db as sqlx::Database>::Row>, OutboxError> {
        reading(async {
            let mut connection = connection(self.backend.pool()).await?;
            let rows = B::Db::fetch(&mut connection, statement, &[value]).await;
            Ok(rows.map_err(B::Db::sort)?)
        })
        .await
    }
}

#[cfg(test)]
impl<B> SqlOutbox<B> {
    /// Every statement that must find its rows by an index, with what the index goes by.
    pub(crate) fn statements(&self) -> Vec<(&str, &'static str)> {
        let all = &self.statements;
        [
            (&all.claim_oldest.rows, "age"),
            (&all.status, "age"),
            (&all.count, "age"),
            (&all.dead, "death"),
            (&all.claim_ids.rows, "id"),
            (&all.dispatched, "id"),
            (&all.failed, "id"),
            (&all.release, "id"),
            (&all.revive, "id"),
            (&all.get, "id"),
            (&all.state, "id"),
            (&all.is_same, "id"),
            (&all.replay, "causation"),
        ]
        .map(|(statement, by)| (&*statement.text, by))
        .into()
    }
}

fn attempts<D: Sql>(row: &D::Row, column: usize) -> Result<u32, sqlx::Error> {
    Ok(u32::try_from(D::number(row, column)?).unwrap_or(u32::MAX))
}

/// Implements [`Outbox`](crate::outbox::Outbox) for a type around a [`SqlOutbox`], and its deposits in a
/// transaction of the application.
macro_rules! implement_outbox {
    ($outbox:ident, $database:ty) => {
        const _: () = {
            use std::time::Duration;

            use futures_util::future::BoxFuture;

            use $crate::id::MessageId;
            use $crate::message::Message;
            use $crate::outbox::{
                Claim, Claimed, DeadMessage, Failure, MessageState, Outbox, OutboxError, OutboxStatus,
                OutboxTransaction,
            };

            type Done<'a, T> = BoxFuture<'a, Result<T, OutboxError>>;

            impl Outbox for $outbox {
                fn deposit<'a>(
                    &'a self,
                    messages: &'a [Message],
                    lease: Option<Duration>,
                ) -> Done<'a, Vec<MessageId>> {
                    Box::pin(self.0.deposit(messages, lease))
                }

                fn claim<'a>(&'a self, which: Claim<'a>, lease: Duration) -> Done<'a, Vec<Claimed>> {
                    Box::pin(self.0.claim(which, lease))
                }

                fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
                    Box::pin(self.0.mark_dispatched(ids))
                }

                fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> Done<'a, ()> {
                    Box::pin(self.0.mark_failed(failures))
                }

                fn release<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
                    Box::pin(self.0.release(ids))
                }

                fn replay<'a>(&'a self, causation: &'a MessageId) -> Done<'a, u64> {
                    Box::pin(self.0.replay(causation))
                }

                fn get<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, Vec<Message>> {
                    Box::pin(self.0.get(ids))
                }

                fn state<'a>(&'a self, id: &'a MessageId) -> Done<'a, Option<MessageState>> {
                    Box::pin(self.0.state(id))
                }

                fn status(&self) -> Done<'_, OutboxStatus> {
                    Box::pin(self.0.status())
                }

                fn dead(&self, limit: usize) -> Done<'_, Vec<DeadMessage>> {
                    Box::pin(self.0.dead(limit))
                }

                fn revive<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, u64> {
                    Box::pin(self.0.revive(ids))
                }
            }

            /// The application's own transaction, of the database that holds the outbox. After an error, roll
            /// back.
            impl OutboxTransaction for sqlx::Transaction<'_, $database> {
                type Outbox = $outbox;

                fn deposit<'a>(&'a mut self, outbox: &'a $outbox, messages: &'a [Message]) -> Done<'a, ()> {
                    Box::pin(outbox.0.deposit_in(self, messages))
                }
            }
        };
    };
}

pub(crate) use implement_outbox;
