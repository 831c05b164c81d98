//! The operations that begin, continue and end a bulk operation.

use std::time::Duration;

use super::filter::FilterSql;
use super::groups::GroupChanges;
use super::reading::{find, message};
use super::rows::{
    bulk_number, desk_row, desk_state, execute, fetch, id, item_number, number, seq, state_number, text,
};
use super::statements::DeskStatements;
use crate::database::backend::Operation;
use crate::database::error::DatabaseError;
use crate::database::value::{Sql, Value};
use crate::store::row::{error_text, limit, millis, stored};
use brighter_core::desk::{
    BulkClaim, BulkOperation, BulkState, BulkVerb, DeskError, DeskId, DeskMessage, DeskState, ItemResult,
    ItemState, NewBulk, OperationId, Steering,
};

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
        let operation = id
            .parse()
            .map_err(|error| super::rows::corrupt(id, Box::new(error)))?;
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

/// Returns the rows of an operation's items in this state.
async fn items_in<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    operation: i64,
    state: ItemState,
    most: usize,
) -> Result<Vec<DeskId>, DeskError> {
    let values = [
        Value::Number(operation),
        Value::Number(item_number(state)),
        Value::Number(limit(most)),
    ];
    let rows = fetch::<D>(connection, &statements.items_in, &values).await?;
    rows.iter().map(|row| id::<D>(row, 0)).collect()
}

/// Changes the state of one item, if it is in one of these states.
async fn set_item<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    (operation, row): (i64, DeskId),
    state: ItemState,
    note: Option<&str>,
    [lowest, highest]: [ItemState; 2],
) -> Result<bool, DeskError> {
    let note = note.map(error_text);
    let values = [
        Value::Number(operation),
        seq(row),
        Value::Number(item_number(state)),
        Value::MaybeText(note.as_deref()),
        Value::Number(item_number(lowest)),
        Value::Number(item_number(highest)),
    ];
    Ok(execute::<D>(connection, &statements.set_item, &values).await? > 0)
}

/// Returns the state and the group of a row, and locks it; `None` if it was deleted.
async fn state_of<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    row: DeskId,
) -> Result<Option<(DeskState, i64)>, DeskError> {
    let rows = fetch::<D>(connection, &statements.state_of, &[seq(row)]).await?;
    let Some(found) = rows.first() else {
        return Ok(None);
    };
    Ok(Some((
        desk_state(number::<D>(found, 0)?, row)?,
        number::<D>(found, 1)?,
    )))
}

async fn set_state<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    row: DeskId,
    state: DeskState,
    operation: &str,
    note: &str,
) -> Result<(), DeskError> {
    let note = error_text(note);
    let values = [
        seq(row),
        Value::Number(state_number(state)),
        Value::Text(operation),
        Value::Text(&note),
    ];
    execute::<D>(connection, &statements.set_state, &values)
        .await
        .map(drop)
}

/// Changes the state of a row that this operation was the last to change. Returns whether it was in the old state.
async fn change_state<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    row: DeskId,
    operation: &str,
    [old, new]: [DeskState; 2],
) -> Result<bool, DeskError> {
    let values = [
        seq(row),
        Value::Number(state_number(new)),
        Value::Text(operation),
        Value::Number(state_number(old)),
    ];
    Ok(execute::<D>(connection, &statements.change_state, &values).await? > 0)
}

const PENDING: [ItemState; 2] = [ItemState::Pending, ItemState::Pending];
const SENDING: [ItemState; 2] = [ItemState::Sending, ItemState::Sending];
const SENT: [ItemState; 2] = [ItemState::Sent, ItemState::Sent];

fn why_skipped(state: Option<(DeskState, i64)>) -> String {
    match state {
        None => "the message was deleted".to_owned(),
        Some((state, _)) => format!("the message was {} when its turn came", state.as_str()),
    }
}

#[derive(Clone, Copy)]
pub(crate) struct NextItems(pub(crate) usize);

impl<D: Sql> BulkWork<D> for NextItems {
    type Answer = Vec<DeskMessage>;

    async fn work(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
        (operation, found): (i64, BulkOperation),
    ) -> Result<Vec<DeskMessage>, DeskError> {
        let id = found.id.to_string();
        let mut rows = items_in::<D>(connection, statements, operation, ItemState::Sending, self.0).await?;
        let mut groups = GroupChanges::default();
        let left = self.0.saturating_sub(rows.len());
        if found.state == BulkState::Running && left > 0 {
            for row in items_in::<D>(connection, statements, operation, ItemState::Pending, left).await? {
                let state = state_of::<D>(connection, statements, row).await?;
                if let Some((state @ (DeskState::Waiting | DeskState::Archived), group)) = state {
                    if state == DeskState::Waiting {
                        groups.waits(group, -1);
                    }
                    set_state::<D>(connection, statements, row, DeskState::Sending, &id, "").await?;
                    let item = (operation, row);
                    set_item::<D>(connection, statements, item, ItemState::Sending, None, PENDING).await?;
                    rows.push(row);
                } else {
                    let (item, why) = ((operation, row), why_skipped(state));
                    set_item::<D>(
                        connection,
                        statements,
                        item,
                        ItemState::Skipped,
                        Some(&why),
                        PENDING,
                    )
                    .await?;
                }
            }
        }
        groups.write::<D>(connection, statements).await?;
        let mut messages = Vec::with_capacity(rows.len());
        for row in rows {
            let found = fetch::<D>(connection, &statements.row, &[seq(row)]).await?;
            let contents = message::<D>(connection, statements, row).await?;
            match (found.first(), contents) {
                (Some(found), Some(contents)) => {
                    messages.push(DeskMessage::new(desk_row::<D>(found)?, contents, Vec::new()));
                }
                _ => {
                    let (item, why) = ((operation, row), why_skipped(None));
                    set_item::<D>(
                        connection,
                        statements,
                        item,
                        ItemState::Skipped,
                        Some(&why),
                        SENDING,
                    )
                    .await?;
                }
            }
        }
        Ok(messages)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct RecordItems<'a>(pub(crate) &'a [ItemResult]);

impl<D: Sql> BulkWork<D> for RecordItems<'_> {
    type Answer = ();

    async fn work(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
        (operation, found): (i64, BulkOperation),
    ) -> Result<(), DeskError> {
        let id = found.id.to_string();
        let mut groups = GroupChanges::default();
        let is_watched = found.plan.verb.is_watched();
        for result in self.0 {
            let (row, item) = (result.row, (operation, result.row));
            let (item_state, new) = match &result.failure {
                Some(_) => (ItemState::Failed, DeskState::Waiting),
                None if is_watched => (ItemState::Sent, DeskState::Sent),
                None => (ItemState::Done, DeskState::Archived),
            };
            // It may have died again meanwhile, and then it waits already.
            let note = result.failure.as_deref();
            if !set_item::<D>(connection, statements, item, item_state, note, SENDING).await? {
                continue;
            }
            let Some((_, group)) = state_of::<D>(connection, statements, row).await? else {
                continue;
            };
            let changed =
                change_state::<D>(connection, statements, row, &id, [DeskState::Sending, new]).await?;
            if changed && new == DeskState::Waiting {
                groups.waits(group, 1);
            }
            if let (true, BulkVerb::Redirect { to }) = (changed && result.failure.is_none(), &found.plan.verb)
            {
                let note = format!("redirected to {to}");
                set_state::<D>(connection, statements, row, new, &id, &note).await?;
            }
        }
        groups.write::<D>(connection, statements).await
    }
}

#[derive(Clone, Copy)]
pub(crate) struct ApplyItems(pub(crate) usize);

impl<D: Sql> BulkWork<D> for ApplyItems {
    type Answer = u64;

    async fn work(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
        (operation, found): (i64, BulkOperation),
    ) -> Result<u64, DeskError> {
        if found.state != BulkState::Running {
            return Ok(0);
        }
        let id = found.id.to_string();
        let deletes = found.plan.verb == BulkVerb::Delete;
        let comment = found.plan.comment.as_deref().unwrap_or_default();
        let rows = items_in::<D>(connection, statements, operation, ItemState::Pending, self.0).await?;
        let mut groups = GroupChanges::default();
        for row in &rows {
            let (row, item) = (*row, (operation, *row));
            let state = state_of::<D>(connection, statements, row).await?;
            let Some((state, group)) = state.filter(|(state, _)| {
                matches!(
                    state,
                    DeskState::Waiting | DeskState::Archived | DeskState::Handled
                )
            }) else {
                let why = why_skipped(state);
                set_item::<D>(
                    connection,
                    statements,
                    item,
                    ItemState::Skipped,
                    Some(&why),
                    PENDING,
                )
                .await?;
                continue;
            };
            if state == DeskState::Waiting {
                groups.waits(group, -1);
            }
            if deletes {
                for statement in [
                    &statements.delete_contents,
                    &statements.delete_deaths,
                    &statements.delete,
                ] {
                    execute::<D>(connection, statement, &[seq(row)]).await?;
                }
            } else {
                set_state::<D>(connection, statements, row, DeskState::Archived, &id, comment).await?;
            }
            set_item::<D>(connection, statements, item, ItemState::Done, None, PENDING).await?;
        }
        groups.write::<D>(connection, statements).await?;
        Ok(rows.len() as u64)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct SettleItems {
    pub(crate) age: Duration,
    pub(crate) limit: usize,
}

impl<D: Sql> BulkWork<D> for SettleItems {
    type Answer = u64;

    async fn work(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
        (operation, found): (i64, BulkOperation),
    ) -> Result<u64, DeskError> {
        let id = found.id.to_string();
        let values = [
            Value::Number(operation),
            Value::Number(millis(self.age)),
            Value::Number(limit(self.limit)),
        ];
        let rows = fetch::<D>(connection, &statements.items_sent, &values).await?;
        let mut settled = 0;
        for row in &rows {
            let row = super::rows::id::<D>(row, 0)?;
            let item = (operation, row);
            // It may have come back at this moment.
            if set_item::<D>(connection, statements, item, ItemState::Done, None, SENT).await? {
                let states = [DeskState::Sent, DeskState::Handled];
                change_state::<D>(connection, statements, row, &id, states).await?;
                settled += 1;
            }
        }
        Ok(settled)
    }
}
