//! The outbox in a database, whichever it is.

mod deposit_statement;
mod options;
#[cfg(test)]
#[cfg(all(feature = "postgres", feature = "mysql"))]
mod plans;
mod room;
mod schedule;
mod statements;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use deposit_statement::DepositStatement;
pub use options::OutboxOptions;

use room::Room;
use statements::Statements;
use work::{Again, Archiving, Claiming, Deposit, Execute, Failing, InOrder};

use super::row;
use crate::database::backend::{Backend, Work, connection, reading};
use crate::database::schema::Schema;
use crate::database::value::{Sql, Statement, Value};
use crate::id::MessageId;
use crate::message::Message;
use crate::outbox::{
    Archive, Arrival, Arrivals, Bell, Claim, Claimed, DeadMessage, Failure, MessageState, OutboxError,
    OutboxStatus, Selection,
};

/// The outbox in a database.
#[derive(Debug, Clone)]
pub(crate) struct SqlOutbox<B> {
    backend: B,
    #[cfg(feature = "postgres")]
    table: Arc<str>,
    statements: Arc<Statements>,
    room: Option<Room>,
    /// Rung at each deposit that nobody has claimed.
    bell: Bell,
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
            #[cfg(feature = "postgres")]
            table: options.table_name()?.into(),
            statements: Arc::new(Statements::new(&B::Db::DIALECT, options.table_name()?)),
            room: options.limit.map(Room::new),
            bell: Bell::new(),
            backend,
        })
    }

    /// The name of the table.
    #[cfg(feature = "postgres")]
    pub(crate) fn table(&self) -> &str {
        &self.table
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
        let known = self.backend.write(self.depositing(messages, lease)).await?;
        if lease.is_none() {
            self.bell.ring(Arrival::Here);
        }
        Ok(known)
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
        .await?;
        self.bell.ring(Arrival::ToCome);
        Ok(())
    }

    /// The deposit of one message, for clients that are not sqlx.
    pub(crate) fn deposit_statement(&self, message: &Message) -> Result<DepositStatement, OutboxError> {
        let (_, insert) = self.statements.insert(1);
        let header = &message.header;
        Ok(DepositStatement {
            sql: insert.text.to_string(),
            message_id: row::id_text::<B::Db>(&header.id),
            topic: row::stored::<B::Db>(header.topic.as_str()).into_owned(),
            message_type: header.message_type.as_str().to_owned(),
            header: row::header_text(header)?,
            body: message.body.as_bytes().to_vec(),
            lease: 0,
            causation_id: header.causation_id.as_ref().map(row::id_text::<B::Db>),
        })
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
        let (lease, statements) = (row::millis(lease), &*self.statements);
        let (ids, topics);
        let (claim, values) = match which {
            Claim::Ids { ids: [], .. }
            | Claim::Oldest { limit: 0, .. }
            | Claim::OfTopic { limit: 0, .. }
            | Claim::InOrder { limit: 0, .. } => return Ok(Vec::new()),
            Claim::Ids { ids: wanted, except } => {
                ids = row::list::<B::Db>(wanted)?;
                let values = vec![Value::Text(&ids), Value::Number(lease)];
                if except.is_empty() {
                    (&statements.claim_ids, values)
                } else {
                    topics = row::topics::<B::Db>(except)?;
                    (
                        &statements.claim_ids_except,
                        [values, vec![Value::Text(&topics)]].concat(),
                    )
                }
            }
            Claim::Oldest {
                limit,
                min_age,
                except,
            } => {
                let values = [lease, row::millis(min_age), row::limit(limit)]
                    .map(Value::Number)
                    .to_vec();
                if except.is_empty() {
                    (&statements.claim_oldest, values)
                } else {
                    topics = row::topics::<B::Db>(except)?;
                    (
                        &statements.claim_oldest_except,
                        [values, vec![Value::Text(&topics)]].concat(),
                    )
                }
            }
            Claim::OfTopic {
                topic,
                limit,
                min_age,
            } => {
                topics = row::stored::<B::Db>(topic.as_str()).into_owned();
                let values = [lease, row::millis(min_age), row::limit(limit)].map(Value::Number);
                (
                    &statements.claim_of_topic,
                    [&values[..], &[Value::Text(&topics)]].concat(),
                )
            }
            Claim::InOrder {
                topic,
                limit,
                min_age,
            } => {
                let topic = row::stored::<B::Db>(topic.as_str());
                let values = [
                    Value::Text(&topic),
                    Value::Number(row::millis(min_age)),
                    Value::Number(row::limit(limit)),
                ];
                return self
                    .backend
                    .write(InOrder {
                        statements,
                        values,
                        lease,
                    })
                    .await;
            }
        };
        self.backend
            .write(Claiming {
                statements,
                claim,
                values: &values,
                lease,
            })
            .await
    }

    pub(crate) async fn send_again(&self, which: &Selection) -> Result<u64, OutboxError> {
        let (since, before) = which.range();
        let outstanding = if which.dead { 2 } else { 0 };
        let mut values = [outstanding, since, before, row::limit(which.limit)]
            .map(Value::Number)
            .to_vec();
        let topic = which
            .topic
            .as_ref()
            .map(|topic| row::stored::<B::Db>(topic.as_str()));
        let selected = match &topic {
            None => &self.statements.selected,
            Some(topic) => {
                values.push(Value::Text(topic));
                &self.statements.selected_of_topic
            }
        };
        let again = &self.statements.again;
        let again = self
            .backend
            .write(Again {
                selected,
                values: &values,
                again,
            })
            .await?;
        self.bell.ring(Arrival::Here);
        Ok(again)
    }

    pub(crate) async fn archive(&self, what: &Archive) -> Result<u64, OutboxError> {
        let (statements, what) = (&*self.statements, *what);
        self.backend.write(Archiving { statements, what }).await
    }

    /// Tells of deposits in this process.
    pub(crate) fn arrivals(&self) -> Arrivals {
        self.bell.arrivals()
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
        self.execute(statement, &[Value::Text(&ids)]).await
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
        self.execute(statement, &[Value::Text(&causation)]).await
    }

    async fn execute(&self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, OutboxError> {
        self.backend.write(Execute { statement, values }).await
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
                3 => MessageState::scheduled(Duration::from_millis(
                    B::Db::number(row, 3)?.max(0).unsigned_abs(),
                )),
                _ => MessageState::outstanding(attempts, last_error),
            })
        };
        Ok(rows.first().map(state).transpose().map_err(B::Db::sort)?)
    }

    pub(crate) async fn status(&self) -> Result<OutboxStatus, OutboxError> {
        let rows = self.read(&self.statements.status, Value::Number(0)).await?;
        let status = |row| {
            let (outstanding, dead) = (B::Db::number(row, 0)?, B::Db::number(row, 2)?);
            let scheduled = B::Db::number(row, 3)?.unsigned_abs();
            // The age is negative when the clock was put back.
            let oldest =
                B::Db::maybe_number(row, 1)?.map(|age| Duration::from_millis(age.try_into().unwrap_or(0)));
            let status = OutboxStatus::new(outstanding.unsigned_abs(), oldest).with_scheduled(scheduled);
            Ok(status.with_dead(dead.unsigned_abs()))
        };
        let status = rows.first().map(status).transpose().map_err(B::Db::sort)?;
        Ok(status.unwrap_or_default())
    }

    pub(crate) async fn dead(&self, limit: usize) -> Result<Vec<DeadMessage>, OutboxError> {
        let rows = self
            .read(&self.statements.dead, Value::Number(row::limit(limit)))
            .await?;
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
        let others = [
            (&all.keep, "id"),
            (&all.forget, "id"),
            (&all.again, "id"),
            (&all.claim_ids_except.rows, "id"),
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
            (&all.reschedule, "id"),
            (&all.cancel, "id"),
            (&all.due, "time"),
            (&all.make_due, "id"),
        ]
        .map(|(statement, by)| (&*statement.text, by));
        [self.claims(), others.into()].concat()
    }

    /// Those among them whose transaction begins as one that claims.
    pub(crate) fn claims(&self) -> Vec<(&str, &'static str)> {
        let all = &self.statements;
        [
            (&all.claim_oldest.rows, "age"),
            (&all.claim_oldest_except.rows, "age and topic"),
            (&all.claim_of_topic.rows, "topic"),
            (&all.next, "topic"),
            (&all.old, "dispatch"),
            (&all.long_dead, "death"),
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
    ($outbox:ident, $database:ty, $arrivals:path) => {
        const _: () = {
            use std::time::Duration;

            use futures_util::future::BoxFuture;

            use $crate::id::MessageId;
            use $crate::message::Message;
            use $crate::outbox::{
                Archive, Arrivals, Claim, Claimed, DeadMessage, Failure, MessageState, Outbox, OutboxError,
                OutboxStatus, OutboxTransaction, Selection,
            };

            use $crate::store::DepositStatement;

            type Done<'a, T> = BoxFuture<'a, Result<T, OutboxError>>;

            impl Outbox for $outbox {
                fn deposit<'a>(
                    &'a self,
                    messages: &'a [Message],
                    lease: Option<Duration>,
                ) -> Done<'a, Vec<MessageId>> {
                    Box::pin(self.0.deposit(messages, lease))
                }

                fn schedule<'a>(&'a self, message: &'a Message, delay: Duration) -> Done<'a, bool> {
                    Box::pin(self.0.schedule(message, delay))
                }

                fn reschedule<'a>(&'a self, id: &'a MessageId, delay: Duration) -> Done<'a, bool> {
                    Box::pin(self.0.reschedule(id, delay))
                }

                fn cancel<'a>(&'a self, id: &'a MessageId) -> Done<'a, bool> {
                    Box::pin(self.0.cancel(id))
                }

                fn make_due(&self, limit: usize) -> Done<'_, u64> {
                    Box::pin(self.0.make_due(limit))
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

                fn send_again<'a>(&'a self, which: &'a Selection) -> Done<'a, u64> {
                    Box::pin(self.0.send_again(which))
                }

                fn archive<'a>(&'a self, what: &'a Archive) -> Done<'a, u64> {
                    Box::pin(self.0.archive(what))
                }

                fn arrivals(&self) -> Option<Arrivals> {
                    Some($arrivals(&self.0))
                }
            }

            impl $outbox {
                /// What deposits this message in a transaction that is not one of sqlx: see [`DepositStatement`], and
                /// [`CommandProcessor::to_message`](crate::CommandProcessor::to_message) for the message of a request.
                ///
                /// # Errors
                /// The message cannot be stored, whoever does so: its header holds what is no JSON.
                pub fn deposit_statement(&self, message: &Message) -> Result<DepositStatement, OutboxError> {
                    self.0.deposit_statement(message)
                }
            }

            /// The application's own transaction, of the database that holds the outbox. After an error, roll
            /// back.
            impl OutboxTransaction for sqlx::Transaction<'_, $database> {
                type Outbox = $outbox;

                fn deposit<'a>(&'a mut self, outbox: &'a $outbox, messages: &'a [Message]) -> Done<'a, ()> {
                    Box::pin(outbox.0.deposit_in(self, messages))
                }

                fn schedule<'a>(
                    &'a mut self,
                    outbox: &'a $outbox,
                    message: &'a Message,
                    delay: Duration,
                ) -> Done<'a, ()> {
                    Box::pin(outbox.0.schedule_in(self, message, delay))
                }
            }
        };
    };
}

pub(crate) use implement_outbox;
