//! A message as a row, and a row as a message.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::error::outbox_error;
use super::sql;
use crate::error::BoxError;
use crate::id::MessageId;
use crate::message::{BagValue, Message, MessageBody, MessageHeader};
use crate::outbox::{Claimed, OutboxError};

/// Inserts messages; `lease` is in milliseconds. Gives the ids of those that are there already.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    messages: &[Message],
    lease: Option<i64>,
) -> Result<Vec<MessageId>, OutboxError> {
    let mut known = Vec::new();
    for message in messages {
        let header = &message.header;
        let inserted = sqlx::query(sql::INSERT)
            .bind(header.id.to_string())
            .bind(header.topic.as_str())
            .bind(header.message_type.as_str())
            .bind(header_text(header).map_err(OutboxError::Other)?)
            .bind(message.body.as_bytes())
            .bind(lease)
            .bind(header.causation_id.as_ref().map(ToString::to_string))
            .execute(&mut *connection)
            .await
            .map_err(outbox_error)?;
        if inserted.rows_affected() == 0 {
            let same: bool = sqlx::query_scalar(sql::IS_SAME)
                .bind(header.id.to_string())
                .bind(header.topic.as_str())
                .bind(message.body.as_bytes())
                .fetch_one(&mut *connection)
                .await
                .map_err(outbox_error)?;
            let id = header.id.clone();
            if !same {
                return Err(OutboxError::IdInUse { id });
            }
            known.push(id);
        }
    }
    Ok(known)
}

fn header_text(header: &MessageHeader) -> Result<String, BoxError> {
    for (name, value) in header.bag.iter() {
        // JSON would silently make it a null, which could not be read again.
        if matches!(value, BagValue::Float(number) if !number.is_finite()) {
            let id = &header.id;
            return Err(format!("the bag of message `{id}` has no finite number as `{name}`").into());
        }
    }
    Ok(serde_json::to_string(header)?)
}

/// Reads the columns `message_id`, `header` and `body`.
pub(super) fn message(row: &SqliteRow) -> Result<Message, BoxError> {
    let header: MessageHeader = serde_json::from_str(row.try_get("header")?)?;
    let id: &str = row.try_get("message_id")?;
    // Otherwise it would be published, and its row never marked.
    if header.id.to_string() != id {
        return Err(format!("its header is that of message `{}`", header.id).into());
    }
    let body: Vec<u8> = row.try_get("body")?;
    Ok(Message::new(header, MessageBody::new(body)))
}

/// Reads the column `attempts` too.
pub(super) fn claimed(row: &SqliteRow) -> Result<Claimed, BoxError> {
    Ok(Claimed::new(message(row)?, row.try_get("attempts")?))
}

/// The identity of a row that may not be readable.
pub(super) fn id(row: &SqliteRow) -> String {
    row.try_get("message_id")
        .unwrap_or_else(|error| format!("unreadable: {error}"))
}
