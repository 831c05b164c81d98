//! The operations that begin, continue and end a bulk operation.

use std::time::Duration;

use super::filter::FilterSql;
use super::reading::find;
use super::rows::{bulk_number, corrupt, execute, fetch, number, text};
use super::statements::DeskStatements;
use crate::database::backend::Operation;
use crate::database::error::DatabaseError;
use crate::database::value::{Sql, Value};
use crate::store::row::{error_text, millis, stored};
use brighter_core::desk::{BulkClaim, BulkOperation, BulkState, DeskError, NewBulk, OperationId, Steering};

/// A change of an operation, in a transaction of its own.
#[derive(Clone, Copy)]
pub(crate) struct DeskWrite<'a, C> {
    pub(crate) statements: &'a DeskStatements,
    pub(crate) change: C,
}

/// One change, in any database.
pub(crate) trait BulkChange<D: Sql>: Copy + Send {
    type Answer: Send;

    fn make(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> impl Future<Output = Result<Self::Answer, DeskError>> + Send;
}

impl<D: Sql, C: BulkChange<D>> Operation<D> for DeskWrite<'_, C> {
    type Output = C::Answer;
    type Error = DeskError;

    fn again(&self) -> Option<Self> {
        Some(*self)
    }

    async fn run(self, connection: &mut D::Connection) -> Result<C::Answer, DeskError> {
        self.change.make(self.statements, connection).await
    }
}

#[derive(Clone, Copy)]
pub(crate) struct BeginBulk<'a> {
    pub(crate) plan: &'a NewBulk,
    pub(crate) id: OperationId,
}

impl<D: Sql> BulkChange<D> for BeginBulk<'_> {
    type Answer = BulkOperation;

    async fn make(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<BulkOperation, DeskError> {
        let id = self.id.to_string();
        let plan = serde_json::to_string(self.plan).map_err(|error| DeskError::Other(error.into()))?;
        let plan = stored::<D>(&plan);
        let values = [Value::Text(&id), Value::Text(&plan)];
        execute::<D>(connection, &statements.insert_operation, &values).await?;
        let (number, _) = found::<D>(connection, statements, self.id).await?;
        let filter = FilterSql::of::<D>(&self.plan.filter.for_operation(), 3);
        let template = format!(
            "INSERT INTO {{in}}{{name}}_items (operation, entry, state, changed_at) SELECT ?1, seq, 0, {{now}} \
             FROM {{table}} WHERE 1 = 1{} ORDER BY seq LIMIT ?2",
            filter.condition
        );
        let mut freeze = statements.dialect.statement(&template, &statements.table);
        freeze.is_kept = false;
        let most = self
            .plan
            .limit
            .map_or(i64::MAX, |most| i64::try_from(most).unwrap_or(i64::MAX));
        let values = filter.values(&[Value::Number(number), Value::Number(most)]);
        let chosen = execute::<D>(connection, &freeze, &values).await?;
        let what = format!("{} of {chosen} messages begun", self.plan.verb.as_str());
        audit::<D>(connection, statements, number, &self.plan.who, &what).await?;
        Ok(found::<D>(connection, statements, self.id).await?.1)
    }
}

async fn found<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    id: OperationId,
) -> Result<(i64, BulkOperation), DeskError> {
    let found = find::<D>(connection, statements, id).await?;
    found.ok_or_else(|| DatabaseError::Other(format!("there is no operation {id}").into()).into())
}

async fn audit<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    operation: i64,
    who: &str,
    what: &str,
) -> Result<(), DeskError> {
    let (who, what) = (stored::<D>(who), stored::<D>(what));
    let values = [Value::Number(operation), Value::Text(&who), Value::Text(&what)];
    execute::<D>(connection, &statements.insert_audit, &values)
        .await
        .map(drop)
}

#[derive(Clone, Copy)]
pub(crate) struct ClaimBulk {
    pub(crate) id: Option<OperationId>,
    pub(crate) token: u64,
    pub(crate) lease: Duration,
}

impl<D: Sql> BulkChange<D> for ClaimBulk {
    type Answer = Option<BulkClaim>;

    async fn make(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<Option<BulkClaim>, DeskError> {
        let rows = match self.id {
            None => fetch::<D>(connection, &statements.any_claimable, &[]).await?,
            Some(id) => {
                let id = id.to_string();
                fetch::<D>(connection, &statements.one_claimable, &[Value::Text(&id)]).await?
            }
        };
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let values = [
            Value::Number(number::<D>(row, 0)?),
            Value::Number(self.token as i64),
            Value::Number(millis(self.lease)),
        ];
        execute::<D>(connection, &statements.claim, &values).await?;
        let id = text::<D>(row, 1)?;
        let operation = id.parse().map_err(|error| corrupt(id, Box::new(error)))?;
        Ok(Some(BulkClaim {
            operation,
            token: self.token,
        }))
    }
}

/// Renews the lease, and returns the operation and the number of its row. Fails if another process has it.
async fn hold<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    claim: BulkClaim,
    lease: Duration,
) -> Result<(i64, BulkOperation), DeskError> {
    let id = claim.operation.to_string();
    let values = [
        Value::Text(&id),
        Value::Number(claim.token as i64),
        Value::Number(millis(lease)),
    ];
    if execute::<D>(connection, &statements.renew, &values).await? == 0 {
        let operation = claim.operation;
        return Err(DeskError::LeaseLost { operation });
    }
    found::<D>(connection, statements, claim.operation).await
}

#[derive(Clone, Copy)]
pub(crate) struct HeldBulk<W> {
    pub(crate) claim: BulkClaim,
    pub(crate) lease: Duration,
    pub(crate) work: W,
}

/// The work of a process that has claimed an operation.
pub(crate) trait BulkWork<D: Sql>: Copy + Send {
    type Answer: Send;

    fn work(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
        operation: (i64, BulkOperation),
    ) -> impl Future<Output = Result<Self::Answer, DeskError>> + Send;
}

impl<D: Sql, W: BulkWork<D>> BulkChange<D> for HeldBulk<W> {
    type Answer = W::Answer;

    async fn make(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<W::Answer, DeskError> {
        let operation = hold::<D>(connection, statements, self.claim, self.lease).await?;
        self.work.work(statements, connection, operation).await
    }
}

#[derive(Clone, Copy)]
pub(crate) struct RenewBulk;

impl<D: Sql> BulkWork<D> for RenewBulk {
    type Answer = BulkOperation;

    async fn work(
        self,
        _: &DeskStatements,
        _: &mut D::Connection,
        (_, operation): (i64, BulkOperation),
    ) -> Result<BulkOperation, DeskError> {
        Ok(operation)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct PassCanary;

impl<D: Sql> BulkWork<D> for PassCanary {
    type Answer = ();

    async fn work(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
        (number, operation): (i64, BulkOperation),
    ) -> Result<(), DeskError> {
        let id = operation.id.to_string();
        execute::<D>(connection, &statements.pass_canary, &[Value::Text(&id)]).await?;
        audit::<D>(connection, statements, number, "", "canary passed").await
    }
}

#[derive(Clone, Copy)]
pub(crate) struct FinishBulk<'a> {
    pub(crate) state: BulkState,
    pub(crate) outcome: &'a str,
}

impl<D: Sql> BulkWork<D> for FinishBulk<'_> {
    type Answer = ();

    async fn work(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
        (number, operation): (i64, BulkOperation),
    ) -> Result<(), DeskError> {
        let (id, outcome) = (operation.id.to_string(), error_text(self.outcome));
        let values = [
            Value::Text(&id),
            Value::Number(bulk_number(self.state)),
            Value::Text(&outcome),
        ];
        execute::<D>(connection, &statements.finish, &values).await?;
        let what = format!("{}: {outcome}", self.state.as_str());
        audit::<D>(connection, statements, number, "", &what).await
    }
}

#[derive(Clone, Copy)]
pub(crate) struct ReleaseBulk(pub(crate) BulkClaim);

impl<D: Sql> BulkChange<D> for ReleaseBulk {
    type Answer = ();

    async fn make(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<(), DeskError> {
        let id = self.0.operation.to_string();
        let values = [Value::Text(&id), Value::Number(self.0.token as i64)];
        execute::<D>(connection, &statements.give_up, &values)
            .await
            .map(drop)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct SteerBulk<'a> {
    pub(crate) id: OperationId,
    pub(crate) steering: Steering,
    pub(crate) who: &'a str,
}

impl<D: Sql> BulkChange<D> for SteerBulk<'_> {
    type Answer = bool;

    async fn make(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<bool, DeskError> {
        let Some((number, _)) = find::<D>(connection, statements, self.id).await? else {
            return Ok(false);
        };
        let id = self.id.to_string();
        let changed = match self.steering {
            Steering::GoOn => execute::<D>(connection, &statements.go_on, &[Value::Text(&id)]).await?,
            _ => {
                let outcome = error_text(&format!("stopped by {}", self.who));
                let values = [Value::Text(&id), Value::Text(&outcome)];
                execute::<D>(connection, &statements.stop, &values).await?
            }
        };
        if changed > 0 {
            audit::<D>(connection, statements, number, self.who, self.steering.as_str()).await?;
        }
        Ok(changed > 0)
    }
}
