//! Stores messages whose keys no other message holds.

use std::slice::from_ref;
use std::time::Duration;

use super::SqlOutbox;
use super::operations::{Deposit, Schedule};
use super::statements::OutboxStatements;
use crate::database::backend::{Backend, Operation};
use crate::database::value::{Sql, Value};
use crate::store::row;
use brighter_core::message::Message;
use brighter_core::outbox::{Arrival, OutboxError, UniqueDeposit, UniqueKey};

/// Takes a key and stores its message, unless another message holds the key.
#[derive(Clone)]
struct DepositUnique<'a> {
    statements: &'a OutboxStatements,
    deposit: Deposit<'a>,
    key: &'a UniqueKey,
    /// For a scheduled message, in milliseconds.
    delay: Option<i64>,
}

impl<D: Sql> Operation<D> for DepositUnique<'_> {
    type Output = UniqueDeposit;
    type Error = OutboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    async fn run(self, connection: &mut D::Connection) -> Result<UniqueDeposit, OutboxError> {
        let Self {
            statements,
            deposit,
            key,
            delay,
        } = self;
        let [message] = deposit.messages else {
            return Err(OutboxError::Other("a unique key is for one message".into()));
        };
        let (id, text) = (
            row::id_text::<D>(&message.header.id),
            row::stored::<D>(key.as_str()),
        );
        // If another transaction has just taken the key, this waits until that ends.
        let values = [
            Value::Text(&text),
            Value::Text(&id),
            Value::Number(row::millis(key.window())),
        ];
        D::execute(connection, &statements.take_key, &values)
            .await
            .map_err(D::sort)?;
        brighter_core::__private::fault_point!("outbox.key", OutboxError::Unavailable);
        // Not by the row count: MySQL counts a row that stays as it was like one that changes.
        let held = D::fetch(connection, &statements.key_holder, &values[..1]).await;
        let held = held.map_err(D::sort)?;
        let Some(row) = held.first() else {
            return Err(OutboxError::Unavailable(
                "a unique key was removed at this moment; try again".into(),
            ));
        };
        let holder = D::text(row, 0).map_err(D::sort)?;
        if holder != id {
            let left = D::number(row, 1).map_err(D::sort)?;
            return Ok(UniqueDeposit::Held {
                by: row::restored::<D>(holder).into_owned().into(),
                left: Duration::from_millis(left.max(0).unsigned_abs()),
            });
        }
        let is_new = match delay {
            None => Operation::<D>::run(deposit, connection).await?.is_empty(),
            Some(delay) => Operation::<D>::run(Schedule { deposit, delay }, connection).await?,
        };
        Ok(UniqueDeposit::Stored { is_new })
    }
}

impl<B: Backend> SqlOutbox<B> {
    pub(crate) async fn deposit_unique(
        &self,
        message: &Message,
        key: &UniqueKey,
        delay: Option<Duration>,
        lease: Option<Duration>,
    ) -> Result<UniqueDeposit, OutboxError> {
        self.make_room(from_ref(message)).await?;
        let deposited = self
            .backend
            .write(self.depositing_unique(message, key, delay, lease))
            .await?;
        if lease.is_none() && delay.is_none() {
            self.bell.ring(Arrival::Here);
        }
        Ok(deposited)
    }

    /// Deposits a message with a key in a transaction of the application.
    pub(crate) async fn deposit_unique_in(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        message: &Message,
        key: &UniqueKey,
        delay: Option<Duration>,
    ) -> Result<UniqueDeposit, OutboxError> {
        let deposited = self
            .backend
            .in_transaction(async {
                self.make_room_in(connection, from_ref(message)).await?;
                let depositing = self.depositing_unique(message, key, delay, None);
                Operation::<B::Db>::run(depositing, connection).await
            })
            .await?;
        if delay.is_none() {
            self.bell.ring(Arrival::ToCome);
        }
        Ok(deposited)
    }

    fn depositing_unique<'a>(
        &'a self,
        message: &'a Message,
        key: &'a UniqueKey,
        delay: Option<Duration>,
        lease: Option<Duration>,
    ) -> DepositUnique<'a> {
        DepositUnique {
            statements: &self.statements,
            deposit: self.depositing(from_ref(message), lease),
            key,
            delay: delay.map(row::millis),
        }
    }
}
