//! The changes of the outbox that need more than one statement.

use std::borrow::Cow;

use super::statements::{ClaimStatements, OutboxStatements, VALUES};
use crate::database::backend::Operation;
use crate::database::error::DatabaseError;
use crate::database::statement::Statement;
use crate::database::value::{Sql, Value};
use crate::store::row;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{Archive, Claimed, Failure, OutboxError};

/// Stores messages, and returns the ids of those that exist already.
#[derive(Clone)]
pub(super) struct Deposit<'a> {
    pub(super) statements: &'a OutboxStatements,
    pub(super) messages: &'a [Message],
    pub(super) lease: i64,
    /// Whether an id that exists is taken for the same message, whatever its content.
    pub(super) is_id_enough: bool,
}

/// Stores a scheduled message, and returns whether it is new.
#[derive(Clone)]
pub(super) struct Schedule<'a> {
    pub(super) deposit: Deposit<'a>,
    /// The delay in milliseconds.
    pub(super) delay: i64,
}

impl<D: Sql> Operation<D> for Schedule<'_> {
    type Output = bool;
    type Error = OutboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn is_whole(&self) -> bool {
        true
    }

    async fn run(self, connection: &mut D::Connection) -> Result<bool, OutboxError> {
        let Self { mut deposit, delay } = self;
        // The delay takes the place of the lease of a deposit.
        deposit.lease = delay;
        let (statement, messages) = (&deposit.statements.schedule, deposit.messages);
        for message in messages {
            let one = std::slice::from_ref(message);
            if !deposit.insert::<D>(connection, statement, one).await? {
                deposit.known::<D>(connection, message).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl<D: Sql> Operation<D> for Deposit<'_> {
    type Output = Vec<MessageId>;
    type Error = OutboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn is_whole(&self) -> bool {
        self.messages.len() == 1
    }

    async fn run(self, connection: &mut D::Connection) -> Result<Vec<MessageId>, OutboxError> {
        let (mut known, mut rest) = (Vec::new(), self.messages);
        while !rest.is_empty() {
            let (size, insert) = self.statements.insert(rest.len());
            let (some, others) = rest.split_at(size);
            rest = others;
            brighter_core::__private::fault_point!("outbox.row", OutboxError::Unavailable);
            if let [message] = some {
                if !self.insert::<D>(connection, insert, some).await? {
                    known.push(self.known::<D>(connection, message).await?);
                }
                continue;
            }
            // If one of them exists already, the database does not report which one. Then each is inserted separately.
            script::<D>(connection, "SAVEPOINT brighter").await?;
            if self.insert::<D>(connection, insert, some).await? {
                script::<D>(connection, "RELEASE SAVEPOINT brighter").await?;
                continue;
            }
            script::<D>(connection, "ROLLBACK TO SAVEPOINT brighter").await?;
            script::<D>(connection, "RELEASE SAVEPOINT brighter").await?;
            let (_, single) = self.statements.insert(1);
            for message in some {
                if !self
                    .insert::<D>(connection, single, std::slice::from_ref(message))
                    .await?
                {
                    known.push(self.known::<D>(connection, message).await?);
                }
            }
        }
        Ok(known)
    }
}

impl Deposit<'_> {
    /// Inserts messages, and returns whether all of them are new.
    async fn insert<D: Sql>(
        &self,
        connection: &mut D::Connection,
        statement: &Statement,
        messages: &[Message],
    ) -> Result<bool, OutboxError> {
        let texts = messages
            .iter()
            .map(MessageTexts::of::<D>)
            .collect::<Result<Vec<_>, _>>()?;
        let mut values = Vec::with_capacity(messages.len() * VALUES);
        for (message, texts) in messages.iter().zip(&texts) {
            values.extend([
                Value::Text(&texts.id),
                Value::Text(&texts.topic),
                Value::Text(message.header.message_type.as_str()),
                Value::Text(&texts.header),
                Value::Bytes(message.body.as_bytes()),
                Value::Number(self.lease),
                Value::MaybeText(texts.cause.as_deref()),
            ]);
        }
        Ok(row::are_new::<D>(connection, statement, &values, messages.len()).await?)
    }

    /// Returns the id of a message that exists already, if it is the same message.
    async fn known<D: Sql>(
        &self,
        connection: &mut D::Connection,
        message: &Message,
    ) -> Result<MessageId, OutboxError> {
        let id = message.header.id.clone();
        if self.is_id_enough {
            return Ok(id);
        }
        let text = row::id_text::<D>(&id);
        let topic = row::stored::<D>(message.header.topic.as_str());
        let values = [Value::Text(&text), Value::Text(&topic)];
        let rows = D::fetch(connection, &self.statements.is_same, &values).await;
        let rows = rows.map_err(D::sort)?;
        let Some(row) = rows.first() else {
            // The message was archived at this moment.
            return Err(OutboxError::Unavailable(
                format!("message `{id}` was removed at this moment; try again").into(),
            ));
        };
        let is_same_topic = D::text(row, 0).map_err(D::sort)? == "same";
        if is_same_topic && message.is_same_content(D::bytes(row, 1).map_err(D::sort)?) {
            return Ok(id);
        }
        Err(OutboxError::IdInUse { id })
    }
}

async fn script<D: Sql>(connection: &mut D::Connection, text: &str) -> Result<(), DatabaseError> {
    D::script(connection, text).await.map_err(D::sort)
}

/// The parts of a message that are converted to text first.
struct MessageTexts<'a> {
    id: String,
    topic: Cow<'a, str>,
    header: String,
    cause: Option<String>,
}

impl<'a> MessageTexts<'a> {
    fn of<D: Sql>(message: &'a Message) -> Result<Self, OutboxError> {
        let header = &message.header;
        Ok(Self {
            id: row::id_text::<D>(&header.id),
            topic: row::stored::<D>(header.topic.as_str()),
            header: row::header_text(header)?,
            cause: header.causation_id.as_ref().map(row::id_text::<D>),
        })
    }
}

/// Claims messages and returns them, oldest first.
#[derive(Clone)]
pub(super) struct ClaimMessages<'a> {
    pub(super) statements: &'a OutboxStatements,
    pub(super) claim: &'a ClaimStatements,
    pub(super) values: &'a [Value<'a>],
    pub(super) lease: i64,
}

impl<D: Sql> Operation<D> for ClaimMessages<'_> {
    type Output = Vec<Claimed>;
    type Error = OutboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn is_whole(&self) -> bool {
        self.claim.write.is_none() && self.claim.begin.is_none()
    }

    fn begin(&self) -> Option<&'static str> {
        self.claim.begin
    }

    async fn run(self, connection: &mut D::Connection) -> Result<Vec<Claimed>, OutboxError> {
        let rows = D::fetch(connection, &self.claim.rows, self.values).await;
        let rows = rows.map_err(D::sort)?;
        let (mut claimed, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in &rows {
            let seq = D::number(row, 0).map_err(D::sort)?;
            match read::<D>(row) {
                Ok(readable) => claimed.push((seq, readable)),
                Err(source) => unreadable.push((seq, row::corrupt::<D>(row, 1, source))),
            }
        }
        // An unreadable message must not hold up the others: its row becomes dead, with the reason in it.
        for (seq, error) in unreadable {
            let reason = row::error_text(&brighter_core::__private::report(&error));
            tracing::error!(
                error = reason,
                "a message in the outbox cannot be read and is marked as dead"
            );
            let values = [Value::Number(seq), Value::Text(&reason)];
            D::execute(connection, &self.statements.set_aside, &values)
                .await
                .map_err(D::sort)?;
        }
        claimed.sort_unstable_by_key(|(seq, _)| *seq);
        let claimed: Vec<Claimed> = claimed.into_iter().map(|(_, claimed)| claimed).collect();
        if let Some(write) = self.claim.write.as_ref().filter(|_| !claimed.is_empty()) {
            let ids: Vec<_> = claimed.iter().map(|it| it.message.header.id.clone()).collect();
            let ids = row::list::<D>(&ids)?;
            let values = [Value::Text(&ids), Value::Number(self.lease)];
            D::execute(connection, write, &values).await.map_err(D::sort)?;
        }
        Ok(claimed)
    }
}

fn read<D: Sql>(row: &D::Row) -> Result<Claimed, brighter_core::error::BoxError> {
    let attempts = u32::try_from(D::number(row, 4)?).unwrap_or(u32::MAX);
    Ok(Claimed::new(row::message::<D>(row, 1)?, attempts))
}

/// Records failures.
#[derive(Clone)]
pub(super) struct Failing<'a> {
    pub(super) statements: &'a OutboxStatements,
    pub(super) failures: &'a [Failure],
}

impl<D: Sql> Operation<D> for Failing<'_> {
    type Output = ();
    type Error = OutboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn is_whole(&self) -> bool {
        self.failures.len() == 1
    }

    async fn run(self, connection: &mut D::Connection) -> Result<(), OutboxError> {
        for failure in self.failures {
            let (id, error) = (row::id_text::<D>(&failure.id), row::error_text(&failure.error));
            let values = [
                Value::Text(&id),
                Value::Text(&error),
                Value::Number(row::millis(failure.retry_delay)),
                Value::Number(if failure.is_last { 2 } else { 1 }),
            ];
            D::execute(connection, &self.statements.failed, &values)
                .await
                .map_err(D::sort)?;
        }
        Ok(())
    }
}

/// Executes one statement, and returns the number of rows that it affected.
#[derive(Clone)]
pub(super) struct ExecuteOutbox<'a> {
    pub(super) statement: &'a Statement,
    pub(super) values: &'a [Value<'a>],
}

impl<D: Sql> Operation<D> for ExecuteOutbox<'_> {
    type Output = u64;
    type Error = OutboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn is_whole(&self) -> bool {
        true
    }

    async fn run(self, connection: &mut D::Connection) -> Result<u64, OutboxError> {
        let found = D::execute(connection, self.statement, self.values).await;
        Ok(found.map_err(D::sort)?)
    }
}

/// Claims the next messages of a topic, in their order: see [`Claim::InOrder`](brighter_core::outbox::Claim::InOrder).
#[derive(Clone)]
pub(super) struct InOrder<'a> {
    pub(super) statements: &'a OutboxStatements,
    /// The topic, the lowest age, and the limit.
    pub(super) values: [Value<'a>; 3],
    pub(super) lease: i64,
}

impl<D: Sql> Operation<D> for InOrder<'_> {
    type Output = Vec<Claimed>;
    type Error = OutboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn begin(&self) -> Option<&'static str> {
        D::DIALECT.begin_claim
    }

    async fn run(self, connection: &mut D::Connection) -> Result<Vec<Claimed>, OutboxError> {
        let Self {
            statements,
            values,
            lease,
        } = self;
        let rows = D::fetch(connection, &statements.next, &values)
            .await
            .map_err(D::sort)?;
        let mut free = 0;
        for row in &rows {
            let left = |column| D::number(row, column).map_err(D::sort);
            if left(1)? > 0 || left(2)? > 0 || left(3)? < 0 {
                break;
            }
            free += 1;
        }
        if free == 0 {
            return Ok(Vec::new());
        }
        let ids = row::read_ids::<D>(&rows[..free])?;
        let claiming = ClaimMessages {
            statements,
            claim: &statements.claim_ids,
            values: &[Value::Text(&ids), Value::Number(lease)],
            lease,
        };
        let mut claimed = Operation::<D>::run(claiming, connection).await?;
        // Another process may have claimed one of them first, and the messages after it are then out of order.
        let mut in_order = 0;
        for (row, claimed) in rows.iter().zip(&claimed) {
            let id = row::id_text::<D>(&claimed.message.header.id);
            if D::text(row, 0).map_err(D::sort)? != id {
                break;
            }
            in_order += 1;
        }
        let others: Vec<_> = claimed
            .drain(in_order..)
            .map(|other| other.message.header.id)
            .collect();
        if !others.is_empty() {
            let ids = row::list::<D>(&others)?;
            D::execute(connection, &statements.release, &[Value::Text(&ids)])
                .await
                .map_err(D::sort)?;
        }
        Ok(claimed)
    }
}

/// Makes the selected messages outstanding again.
#[derive(Clone)]
pub(super) struct SendAgain<'a> {
    pub(super) selected: &'a Statement,
    pub(super) values: &'a [Value<'a>],
    pub(super) again: &'a Statement,
}

impl<D: Sql> Operation<D> for SendAgain<'_> {
    type Output = u64;
    type Error = OutboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    async fn run(self, connection: &mut D::Connection) -> Result<u64, OutboxError> {
        let rows = D::fetch(connection, self.selected, self.values).await;
        let rows = rows.map_err(D::sort)?;
        if rows.is_empty() {
            return Ok(0);
        }
        let ids = row::read_ids::<D>(&rows)?;
        let again = D::execute(connection, self.again, &[Value::Text(&ids)]).await;
        Ok(again.map_err(D::sort)?)
    }
}

/// Removes some of the old messages.
#[derive(Clone)]
pub(super) struct ArchiveOld<'a> {
    pub(super) statements: &'a OutboxStatements,
    pub(super) what: Archive,
}

impl<D: Sql> Operation<D> for ArchiveOld<'_> {
    type Output = u64;
    type Error = OutboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn begin(&self) -> Option<&'static str> {
        D::DIALECT.begin_claim
    }

    async fn run(self, connection: &mut D::Connection) -> Result<u64, OutboxError> {
        let Self { statements, what } = self;
        let old = [
            (what.dispatched, &statements.old),
            (what.dead, &statements.long_dead),
        ];
        let mut gone = 0;
        for (age, statement) in old {
            let left = row::limit(what.limit) - gone;
            let Some(age) = age.filter(|_| left > 0) else {
                continue;
            };
            let values = [row::millis(age), left].map(Value::Number);
            let rows = D::fetch(connection, statement, &values).await.map_err(D::sort)?;
            if rows.is_empty() {
                continue;
            }
            let ids = row::read_ids::<D>(&rows)?;
            let ids = [Value::Text(&ids)];
            if what.keep {
                D::execute(connection, &statements.keep, &ids)
                    .await
                    .map_err(D::sort)?;
            }
            let forgotten = D::execute(connection, &statements.forget, &ids).await;
            gone += row::limit(usize::try_from(forgotten.map_err(D::sort)?).unwrap_or(usize::MAX));
        }
        // Keys whose window is over hold up nothing, but each takes a row.
        let some = [Value::Number(row::limit(what.limit))];
        D::execute(connection, &statements.forget_keys, &some)
            .await
            .map_err(D::sort)?;
        Ok(gone.unsigned_abs())
    }
}
