//! The operations that handle the messages of a bulk operation, one by one.

use std::time::Duration;

use super::groups::GroupChanges;
use super::operating::BulkWork;
use super::reading::message;
use super::rows::{desk_row, desk_state, execute, fetch, id, item_number, number, seq, state_number};
use super::statements::DeskStatements;
use crate::database::value::{Sql, Value};
use crate::store::row::{error_text, limit, millis};
use brighter_core::desk::{
    BulkOperation, BulkState, BulkVerb, DeskError, DeskId, DeskMessage, DeskState, ItemResult, ItemState,
};

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

/// Skips an item whose message is in no state for the operation, or is gone, and says so in its note.
async fn skip<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    item: (i64, DeskId),
    found: Option<(DeskState, i64)>,
    from: [ItemState; 2],
) -> Result<bool, DeskError> {
    let why = match found {
        None => "the message was deleted".to_owned(),
        Some((state, _)) => format!("the message was {} when its turn came", state.as_str()),
    };
    set_item::<D>(connection, statements, item, ItemState::Skipped, Some(&why), from).await
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
                    skip::<D>(connection, statements, (operation, row), state, PENDING).await?;
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
                    skip::<D>(connection, statements, (operation, row), None, SENDING).await?;
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
                skip::<D>(connection, statements, item, state, PENDING).await?;
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
        let changed_by = found.id.to_string();
        let values = [
            Value::Number(operation),
            Value::Number(millis(self.age)),
            Value::Number(limit(self.limit)),
        ];
        let rows = fetch::<D>(connection, &statements.items_sent, &values).await?;
        let mut settled = 0;
        for row in &rows {
            let row = id::<D>(row, 0)?;
            let item = (operation, row);
            // It may have come back at this moment.
            if set_item::<D>(connection, statements, item, ItemState::Done, None, SENT).await? {
                let states = [DeskState::Sent, DeskState::Handled];
                change_state::<D>(connection, statements, row, &changed_by, states).await?;
                settled += 1;
            }
        }
        Ok(settled)
    }
}
