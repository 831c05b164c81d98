//! Converts rows of the desk, their numbers and their times.

use std::time::{Duration, SystemTime};

use crate::database::error::DatabaseError;
use crate::database::statement::Statement;
use crate::database::value::{Sql, Value};
use crate::store::row;
use brighter_core::channel::RejectionKind;
use brighter_core::desk::{
    BulkCounts, BulkOperation, BulkState, DeadGroup, Death, DeskError, DeskId, DeskRow, DeskState, GroupKey,
    ItemState, NewBulk, OperationId,
};
use brighter_core::error::BoxError;

/// Executes a statement, and returns the number of rows that it affected.
pub(super) async fn execute<D: Sql>(
    connection: &mut D::Connection,
    statement: &Statement,
    values: &[Value<'_>],
) -> Result<u64, DeskError> {
    Ok(D::execute(connection, statement, values).await.map_err(D::sort)?)
}

/// Executes a statement, and returns its rows.
pub(super) async fn fetch<D: Sql>(
    connection: &mut D::Connection,
    statement: &Statement,
    values: &[Value<'_>],
) -> Result<Vec<D::Row>, DeskError> {
    Ok(D::fetch(connection, statement, values).await.map_err(D::sort)?)
}

pub(super) fn number<D: Sql>(row: &D::Row, column: usize) -> Result<i64, DeskError> {
    Ok(D::number(row, column).map_err(D::sort)?)
}

fn count<D: Sql>(row: &D::Row, column: usize) -> Result<u64, DeskError> {
    Ok(u64::try_from(number::<D>(row, column)?).unwrap_or(0))
}

pub(super) fn maybe_number<D: Sql>(row: &D::Row, column: usize) -> Result<Option<i64>, DeskError> {
    Ok(D::maybe_number(row, column).map_err(D::sort)?)
}

pub(super) fn text<D: Sql>(row: &D::Row, column: usize) -> Result<String, DeskError> {
    let text = D::text(row, column).map_err(D::sort)?;
    Ok(row::restored::<D>(text).into_owned())
}

pub(super) fn maybe_text<D: Sql>(row: &D::Row, column: usize) -> Result<Option<String>, DeskError> {
    let text = D::maybe_text(row, column).map_err(D::sort)?;
    Ok(text.map(|text| row::restored::<D>(text).into_owned()))
}

/// Returns a text that is stored as empty if there is none.
fn some_text<D: Sql>(row: &D::Row, column: usize) -> Result<Option<String>, DeskError> {
    Ok(Some(text::<D>(row, column)?).filter(|text| !text.is_empty()))
}

pub(super) fn id<D: Sql>(row: &D::Row, column: usize) -> Result<DeskId, DeskError> {
    Ok(DeskId::new(count::<D>(row, column)?))
}

pub(super) fn time(millis: i64) -> SystemTime {
    let millis = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    SystemTime::UNIX_EPOCH
        .checked_add(millis)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(super) fn millis_of(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    row::millis(since)
}

pub(super) fn seq(id: DeskId) -> Value<'static> {
    Value::Number(i64::try_from(id.get()).unwrap_or(i64::MAX))
}

pub(super) fn state_number(state: DeskState) -> i64 {
    position(&DeskState::ALL, state)
}

pub(super) fn item_number(state: ItemState) -> i64 {
    position(&ItemState::ALL, state)
}

pub(super) fn bulk_number(state: BulkState) -> i64 {
    position(&BulkState::ALL, state)
}

fn position<T: PartialEq>(all: &[T], one: T) -> i64 {
    all.iter()
        .position(|other| *other == one)
        .map_or(0, |at| at as i64)
}

pub(super) fn kind_number(kind: RejectionKind) -> i64 {
    i64::from(kind == RejectionKind::Invalid)
}

fn kind_of(number: i64) -> RejectionKind {
    match number {
        0 => RejectionKind::DeadLetter,
        _ => RejectionKind::Invalid,
    }
}

fn one_of<T: Copy>(all: &[T], number: i64, what: impl FnOnce() -> String) -> Result<T, DeskError> {
    let one = usize::try_from(number).ok().and_then(|at| all.get(at));
    one.copied()
        .ok_or_else(|| corrupt(what(), format!("it has the unknown state {number}").into()))
}

pub(super) fn desk_state(number: i64, row: DeskId) -> Result<DeskState, DeskError> {
    one_of(&DeskState::ALL, number, || row.to_string())
}

pub(super) fn item_state(number: i64) -> Result<ItemState, DeskError> {
    one_of(&ItemState::ALL, number, || "of an operation".to_owned())
}

pub(super) fn corrupt(row: impl Into<String>, source: BoxError) -> DeskError {
    DeskError::Corrupt {
        row: row.into(),
        source,
    }
}

fn parsed<T: std::str::FromStr>(text: &str, row: &str) -> Result<T, DeskError>
where
    T::Err: Into<BoxError>,
{
    text.parse().map_err(|error: T::Err| corrupt(row, error.into()))
}

fn attempts(number: Option<i64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

/// Reads the columns of [`ROW`](super::statements::ROW).
pub(super) fn desk_row<D: Sql>(row: &D::Row) -> Result<DeskRow, DeskError> {
    let id = id::<D>(row, 0)?;
    let operation = maybe_text::<D>(row, 16)?;
    let operation = operation.filter(|text| !text.is_empty());
    let mut desk_row = DeskRow::empty(
        id,
        text::<D>(row, 1)?.into(),
        text::<D>(row, 4)?.into(),
        kind_of(number::<D>(row, 6)?),
    );
    desk_row.topic = text::<D>(row, 2)?;
    desk_row.message_type = text::<D>(row, 3)?;
    desk_row.channel = some_text::<D>(row, 5)?.map(Into::into);
    desk_row.handler = some_text::<D>(row, 7)?;
    desk_row.error_type = some_text::<D>(row, 8)?;
    desk_row.error = text::<D>(row, 9)?;
    desk_row.group = GroupKey::new(number::<D>(row, 10)? as u64);
    desk_row.attempts = attempts(maybe_number::<D>(row, 11)?);
    desk_row.deaths = count::<D>(row, 12)?;
    desk_row.died_at = time(number::<D>(row, 13)?);
    desk_row.state = desk_state(number::<D>(row, 14)?, id)?;
    desk_row.comment = maybe_text::<D>(row, 15)?;
    desk_row.operation = match operation {
        Some(operation) => Some(parsed(&operation, &id.to_string())?),
        None => None,
    };
    desk_row.body_bytes = count::<D>(row, 17)?;
    Ok(desk_row)
}

/// Reads the columns `died_at`, `error` and `attempts`.
pub(super) fn death<D: Sql>(row: &D::Row) -> Result<Death, DeskError> {
    Ok(Death::new(
        time(number::<D>(row, 0)?),
        text::<D>(row, 1)?,
        attempts(maybe_number::<D>(row, 2)?),
    ))
}

/// Reads a group, without its hours.
pub(super) fn group<D: Sql>(row: &D::Row) -> Result<DeadGroup, DeskError> {
    let mut group = DeadGroup::new(
        GroupKey::new(number::<D>(row, 0)? as u64),
        kind_of(number::<D>(row, 2)?),
        time(number::<D>(row, 8)?),
        time(number::<D>(row, 9)?),
    );
    group.channel = text::<D>(row, 1)?;
    group.handler = some_text::<D>(row, 3)?;
    group.error_type = some_text::<D>(row, 4)?;
    group.pattern = text::<D>(row, 5)?;
    group.waiting = count::<D>(row, 6)?;
    group.deaths = count::<D>(row, 7)?;
    Ok(group)
}

/// Reads an operation, without its counts, and the number of its row.
pub(super) fn operation<D: Sql>(row: &D::Row) -> Result<(i64, BulkOperation), DeskError> {
    let id_text = text::<D>(row, 1)?;
    let id: OperationId = parsed(&id_text, &id_text)?;
    let plan: NewBulk =
        serde_json::from_str(&text::<D>(row, 2)?).map_err(|error| corrupt(&*id_text, error.into()))?;
    let mut operation = BulkOperation::new(id, plan, BulkCounts::default(), time(number::<D>(row, 6)?));
    operation.state = one_of(&BulkState::ALL, number::<D>(row, 3)?, || id_text)?;
    operation.canary_passed = number::<D>(row, 4)? != 0;
    operation.outcome = maybe_text::<D>(row, 5)?;
    operation.ended_at = maybe_number::<D>(row, 7)?.map(time);
    Ok((number::<D>(row, 0)?, operation))
}

/// Reads the counts of an operation.
pub(super) fn counts<D: Sql>(rows: &[D::Row]) -> Result<BulkCounts, DeskError> {
    let mut counts = BulkCounts::default();
    for row in rows {
        counts.add(item_state(number::<D>(row, 0)?)?, count::<D>(row, 1)?);
    }
    Ok(counts)
}

/// Returns the clock of the database in milliseconds.
pub(super) async fn now<D: Sql>(connection: &mut D::Connection, now: &Statement) -> Result<i64, DeskError> {
    let rows = fetch::<D>(connection, now, &[]).await?;
    let row = rows.first();
    let row = row.ok_or_else(|| DatabaseError::Other("the database has no clock".into()))?;
    number::<D>(row, 0)
}
