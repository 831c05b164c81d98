//! Converts schedules to rows, and rows to schedules.

use std::time::{Duration, SystemTime};

use crate::database::value::{Sql, Value};
use crate::store::row::{header_text, id_text};
use brighter_core::error::BoxError;
use brighter_core::message::{Message, MessageBody};
use brighter_core::outbox::{OutboxError, ScheduleOrigin, ScheduleRow, ScheduleState};

/// Returns the time this many milliseconds after 1970.
pub(super) fn time(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.max(0).unsigned_abs())
}

/// Returns the milliseconds from 1970 to this time.
fn millis(time: SystemTime) -> i64 {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

fn state_number(state: ScheduleState) -> i64 {
    match state {
        ScheduleState::Paused => 1,
        ScheduleState::Gone => 2,
        _ => 0,
    }
}

/// The parts of a schedule that are converted to text first.
pub(super) struct ScheduleTexts<'a> {
    row: &'a ScheduleRow,
    header: Option<String>,
    last_id: Option<String>,
}

impl<'a> ScheduleTexts<'a> {
    pub(super) fn of<D: Sql>(row: &'a ScheduleRow) -> Result<Self, OutboxError> {
        let template = row.template.as_ref();
        Ok(Self {
            row,
            header: template.map(|message| header_text(&message.header)).transpose()?,
            last_id: row.last_id.as_ref().map(id_text::<D>),
        })
    }

    /// Returns the values of the statements that add and replace a schedule.
    pub(super) fn values(&self) -> [Value<'_>; 13] {
        let Self { row, header, last_id } = self;
        let body = row
            .template
            .as_ref()
            .map_or(&[][..], |message| message.body.as_bytes());
        let time = |time: Option<SystemTime>| Value::MaybeNumber(time.map(millis));
        [
            Value::MaybeText(row.origin.program()),
            Value::Text(&row.expression),
            Value::Text(&row.zone),
            Value::Text(&row.settings),
            Value::MaybeText(header.as_deref()),
            Value::Bytes(body),
            Value::Number(state_number(row.state)),
            time(row.next_at),
            time(row.run_at),
            time(row.due_at),
            time(row.last_at),
            Value::MaybeText(last_id.as_deref()),
            Value::Text(&row.name),
        ]
    }
}

/// Returns the state and the times of schedules as one value. What is null is left out.
pub(super) fn advanced<'a, D: Sql>(
    rows: impl Iterator<Item = &'a ScheduleRow>,
) -> Result<String, OutboxError> {
    let objects = rows.map(|row| {
        let mut object = serde_json::Map::new();
        object.insert("name".into(), row.name.clone().into());
        object.insert("state".into(), state_number(row.state).into());
        let times = [
            ("next_at", row.next_at),
            ("run_at", row.run_at),
            ("due_at", row.due_at),
            ("last_at", row.last_at),
        ];
        for (column, time) in times {
            if let Some(time) = time {
                object.insert(column.into(), millis(time).into());
            }
        }
        if let Some(id) = &row.last_id {
            object.insert("last_id".into(), id_text::<D>(id).into());
        }
        serde_json::Value::Object(object)
    });
    let objects: Vec<_> = objects.collect();
    serde_json::to_string(&objects).map_err(|error| OutboxError::Other(error.into()))
}

pub(super) fn read_all<D: Sql>(rows: &[D::Row]) -> Result<Vec<ScheduleRow>, OutboxError> {
    let read = |row: &D::Row| {
        read::<D>(row).map_err(|source| {
            let name = D::text(row, 0).unwrap_or_default();
            let reason = format!("the schedule `{name}` in the table of schedules cannot be read: {source}");
            OutboxError::Other(reason.into())
        })
    };
    rows.iter().map(read).collect()
}

fn read<D: Sql>(row: &D::Row) -> Result<ScheduleRow, BoxError> {
    let origin = D::maybe_text(row, 1)?.map_or(ScheduleOrigin::Runtime, ScheduleOrigin::code);
    let mut schedule = ScheduleRow::new(D::text(row, 0)?, origin, D::text(row, 2)?);
    schedule.zone = D::text(row, 3)?.to_owned();
    schedule.settings = D::text(row, 4)?.to_owned();
    if let Some(header) = D::maybe_text(row, 5)? {
        let body = MessageBody::new(D::bytes(row, 6)?.to_vec());
        schedule.template = Some(Message::new(serde_json::from_str(header)?, body));
    }
    schedule.state = match D::number(row, 7)? {
        0 => ScheduleState::Active,
        1 => ScheduleState::Paused,
        2 => ScheduleState::Gone,
        other => return Err(format!("its state is {other}").into()),
    };
    let time = |column| Ok::<_, sqlx::Error>(D::maybe_number(row, column)?.map(time));
    schedule.next_at = time(8)?;
    schedule.run_at = time(9)?;
    schedule.due_at = time(10)?;
    schedule.last_at = time(11)?;
    schedule.last_id = D::maybe_text(row, 12)?.map(Into::into);
    schedule.version = D::number(row, 13)?.unsigned_abs();
    Ok(schedule)
}
