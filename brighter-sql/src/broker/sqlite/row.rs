//! Converts messages to rows, and rows to messages.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use brighter_core::channel::{PublishError, Rejection};
use brighter_core::error::BoxError;
use brighter_core::id::MessageId;
use brighter_core::message::{BagValue, Message, MessageBody, MessageHeader, MessageType, RoutingKey};

/// The largest message in bytes, well below SQLite's limit for a row.
const LARGEST: usize = 256 * 1024 * 1024;

/// A message in its stored form.
#[derive(Debug, Clone)]
pub(super) struct StoredMessage {
    pub(super) topic: RoutingKey,
    /// The priority of the message: 0, the lowest, by default.
    pub(super) priority: u8,
    pub(super) header: String,
    pub(super) body: Vec<u8>,
}

impl StoredMessage {
    pub(super) fn new(message: &Message) -> Result<Self, PublishError> {
        let topic = message.header.topic.clone();
        let header = write(&message.header).map_err(PublishError::Other)?;
        let body = message.body.as_bytes();
        let bytes = header.len().saturating_add(body.len());
        if bytes > LARGEST {
            return Err(PublishError::TooLarge {
                bytes,
                limit: LARGEST,
            });
        }
        Ok(Self {
            topic,
            priority: message.header.priority.unwrap_or(0),
            header,
            body: body.to_vec(),
        })
    }

    /// Returns a rejected copy of a message, with the reason.
    pub(super) fn set_aside(message: &Message, rejection: &Rejection) -> Result<Self, PublishError> {
        let mut moved = message.clone();
        rejection.annotate(&mut moved.header);
        Self::new(&moved)
    }
}

/// Returns the header as JSON. JSON cannot represent non-finite numbers, so these follow separately, as their bits.
fn write(header: &MessageHeader) -> Result<String, BoxError> {
    let strange: BTreeMap<&str, u64> = header
        .bag
        .iter()
        .filter_map(|(name, value)| match value {
            BagValue::Float(number) if !number.is_finite() => Some((name, number.to_bits())),
            _ => None,
        })
        .collect();
    if strange.is_empty() {
        return Ok(serde_json::to_string(header)?);
    }
    let mut plain = header.clone();
    for name in strange.keys() {
        plain.bag.remove(name);
    }
    Ok(format!(
        "{}\n{}",
        serde_json::to_string(&plain)?,
        serde_json::to_string(&strange)?
    ))
}

fn read(text: &str) -> Result<MessageHeader, BoxError> {
    // The JSON has no line break, so the first one ends the header.
    let (header, strange) = match text.split_once('\n') {
        None => (text, None),
        Some((header, strange)) => (header, Some(strange)),
    };
    let mut header: MessageHeader = serde_json::from_str(header)?;
    if let Some(strange) = strange {
        let strange: BTreeMap<String, u64> = serde_json::from_str(strange)?;
        for (name, bits) in strange {
            header.bag.insert(name, BagValue::Float(f64::from_bits(bits)));
        }
    }
    Ok(header)
}

/// Reads the columns `header` and `body`, beginning at column `first`.
pub(super) fn message(row: &SqliteRow, first: usize) -> Result<Message, BoxError> {
    let header = read(row.try_get(first)?)?;
    let body: Vec<u8> = row.try_get(first + 1)?;
    Ok(Message::new(header, MessageBody::new(body)))
}

/// Returns an unreadable row as a message that can be rejected: its bytes under a readable header, with the unreadable
/// one in its bag.
pub(super) fn salvaged(row: &SqliteRow, first: usize, channel: &str) -> Message {
    let mut header = MessageHeader::new(MessageId::new(), channel, MessageType::Document)
        .with_content_type("application/octet-stream");
    if let Ok(text) = row.try_get::<&str, _>(first) {
        header.bag.insert("unreadableHeader", text);
    }
    let body = row.try_get::<Vec<u8>, _>(first + 1).unwrap_or_default();
    Message::new(header, MessageBody::new(body))
}

/// Returns milliseconds, rounded up so that no time is shorter than requested, and limited so that the database can add
/// them to the time.
pub(super) fn millis(time: Duration) -> i64 {
    const NEVER: u128 = 1 << 53;
    time.as_nanos().div_ceil(1_000_000).min(NEVER) as i64
}

/// Returns the time in milliseconds, as [`millis`] and the database count it: both use the clock of the machine.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_whatever_is_in_it() {
        let mut header = MessageHeader::new(MessageId::new(), "Grüße.日本\u{2028}", MessageType::Event);
        header.handled_count = 3;
        for (name, value) in [
            ("line\nbreak", BagValue::from("a\nb\0")),
            ("number", BagValue::Float(0.1)),
            ("infinite", BagValue::Float(f64::NEG_INFINITY)),
            ("whole", BagValue::Int(i64::MIN)),
        ] {
            header.bag.insert(name, value);
        }
        assert_eq!(read(&write(&header).unwrap()).unwrap(), header);
        header.bag.insert("none", BagValue::Float(f64::NAN));
        let back = read(&write(&header).unwrap()).unwrap();
        assert!(matches!(back.bag.get("none"), Some(BagValue::Float(number)) if number.is_nan()));
    }
}
