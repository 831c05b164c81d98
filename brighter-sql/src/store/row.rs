//! Converts messages to rows, and rows to messages.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::database::error::DatabaseError;
use crate::database::statement::Statement;
use crate::database::value::{Sql, Value};
use brighter_core::error::BoxError;
use brighter_core::id::MessageId;
use brighter_core::message::{BagValue, Message, MessageBody, MessageHeader, RoutingKey};
use brighter_core::outbox::OutboxError;

/// Returns the header as stored text.
pub(super) fn header_text(header: &MessageHeader) -> Result<String, OutboxError> {
    for (name, value) in header.bag.iter() {
        // JSON would silently write `null`, which could not be read again.
        if matches!(value, BagValue::Float(number) if !number.is_finite()) {
            let id = &header.id;
            let reason = format!("the bag of message `{id}` has no finite number as `{name}`");
            return Err(OutboxError::Other(reason.into()));
        }
    }
    serde_json::to_string(header).map_err(|error| OutboxError::Other(error.into()))
}

/// Reads the columns `message_id`, `header` and `body`, beginning at column `first`.
pub(super) fn message<D: Sql>(row: &D::Row, first: usize) -> Result<Message, BoxError> {
    let header: MessageHeader = serde_json::from_str(D::text(row, first + 1)?)?;
    // Otherwise the message would be published, and its row never marked.
    if id_text::<D>(&header.id) != D::text(row, first)? {
        return Err(format!("its header is that of message `{}`", header.id).into());
    }
    let body = D::bytes(row, first + 2)?;
    Ok(Message::new(header, MessageBody::new(body.to_vec())))
}

/// Returns the error for an unreadable row, with its id.
pub(super) fn corrupt<D: Sql>(row: &D::Row, id: usize, source: BoxError) -> OutboxError {
    let id = D::text(row, id).map(restored::<D>);
    let id = id.map_or_else(|error| format!("unreadable: {error}"), Cow::into_owned);
    OutboxError::Corrupt { id, source }
}

/// The character that replaces U+0000 and itself where a text cannot contain U+0000.
const ESCAPE: char = '\u{1}';

/// Returns a text in the form that this database stores.
pub(super) fn stored<D: Sql>(text: &str) -> Cow<'_, str> {
    if D::DIALECT.keeps_nul || !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace(ESCAPE, "\u{1}1");
    Cow::Owned(escaped.replace('\0', "\u{1}0"))
}

/// Returns a text from the form that this database stores.
pub(super) fn restored<D: Sql>(text: &str) -> Cow<'_, str> {
    if D::DIALECT.keeps_nul || !text.contains(ESCAPE) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(ESCAPE);
    let mut restored = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.strip_prefix('0');
        restored.push(if rest.is_some() { '\0' } else { ESCAPE });
        restored.push_str(rest.or(part.strip_prefix('1')).unwrap_or(part));
    }
    Cow::Owned(restored)
}

/// Returns an id in the form that this database stores.
pub(super) fn id_text<D: Sql>(id: &MessageId) -> String {
    match stored::<D>(&id.to_string()) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

/// Returns ids as one value: each of them once, in any order.
pub(super) fn list<D: Sql>(ids: &[MessageId]) -> Result<String, OutboxError> {
    let ids: BTreeSet<_> = ids.iter().map(id_text::<D>).collect();
    serde_json::to_string(&ids).map_err(|error| OutboxError::Other(error.into()))
}

/// Returns topics as one value.
pub(super) fn topics<D: Sql>(topics: &[RoutingKey]) -> Result<String, OutboxError> {
    let topics: Vec<_> = topics.iter().map(|topic| stored::<D>(topic.as_str())).collect();
    serde_json::to_string(&topics).map_err(|error| OutboxError::Other(error.into()))
}

/// Returns stored ids that were read, as one value.
pub(super) fn read_ids<D: Sql>(rows: &[D::Row]) -> Result<String, OutboxError> {
    let ids = rows
        .iter()
        .map(|row| D::text(row, 0))
        .collect::<Result<Vec<_>, _>>();
    let ids = ids.map_err(D::sort)?;
    serde_json::to_string(&ids).map_err(|error| OutboxError::Other(error.into()))
}

/// Returns a limit as a number of the database.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Inserts rows, and returns whether all of them are new.
pub(super) async fn are_new<D: Sql>(
    connection: &mut D::Connection,
    insert: &Statement,
    values: &[Value<'_>],
    rows: usize,
) -> Result<bool, DatabaseError> {
    match D::execute(connection, insert, values).await {
        Ok(inserted) => Ok(inserted == rows as u64),
        // For a database without another way to report this. The error undoes the statement, not the transaction.
        Err(error) if D::DIALECT.if_new.is_empty() && is_taken(&error) => Ok(false),
        Err(error) => Err(D::sort(error)),
    }
}

/// Inserts one row, and returns whether it is new.
pub(super) async fn is_new<D: Sql>(
    connection: &mut D::Connection,
    insert: &Statement,
    values: &[Value<'_>],
) -> Result<bool, DatabaseError> {
    are_new::<D>(connection, insert, values, 1).await
}

fn is_taken(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// Returns milliseconds, rounded up so that no lease is shorter than requested, and limited so that the database can
/// add them to the time.
pub(super) fn millis(time: Duration) -> i64 {
    const NEVER: u128 = 1 << 53;
    time.as_nanos().div_ceil(1_000_000).min(NEVER) as i64
}

/// Returns an error as stored text: limited in length, and without characters that PostgreSQL cannot store.
pub(super) fn error_text(error: &str) -> String {
    const KEPT: usize = 2_000;
    let kept = error.chars().take(KEPT);
    kept.map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

#[cfg(all(test, feature = "postgres", feature = "sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back() {
        for text in [
            "",
            "plain",
            "\0",
            "\u{1}",
            "\u{1}0",
            "\0\u{1}\0one",
            "\u{1}\u{1}0\0",
        ] {
            let kept = stored::<sqlx::Postgres>(text);
            assert!(!kept.contains('\0'), "{text:?}");
            assert_eq!(restored::<sqlx::Postgres>(&kept), text);
            assert_eq!(stored::<sqlx::Sqlite>(text), text);
        }
    }
}
