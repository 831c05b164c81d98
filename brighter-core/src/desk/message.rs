//! [`DeskMessage`]: a message at the desk, and [`NewDeskMessage`], one that is about to be kept.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::group::{GroupKey, error_pattern};
use super::id::{DeskId, OperationId};
use crate::channel::{Rejection, RejectionKind, rejection_headers};
use crate::cut::cut;
use crate::error::BoxError;
use crate::escape::escaped;
use crate::id::MessageId;
use crate::message::{BagValue, ChannelName, MAX_NAME_BYTES, Message, MessageHeader};

/// The header of a message that the desk has sent: the operation, and the row of the desk. A [`RetryMark`] reads it.
pub const RETRIED_BY: &str = "retriedBy";

/// The header of an edited message: the id of the message that it replaces.
pub const ORIGINAL_ID: &str = "originalId";

/// The state of a message at the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeskState {
    /// Waits for a decision.
    Waiting,
    /// Is being sent by an operation.
    Sending,
    /// Was sent, and it is not known yet whether it was handled.
    Sent,
    /// Was sent and did not come back within the time of its operation.
    Handled,
    /// Is kept, and needs no decision.
    Archived,
}

impl DeskState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Sending,
        Self::Sent,
        Self::Handled,
        Self::Archived,
    ];

    /// Returns the word for this state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Handled => "handled",
            Self::Archived => "archived",
        }
    }

    /// Returns the state of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// The operation that sent a message, and the row that it was sent from, as [`RETRIED_BY`] records them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryMark {
    /// The operation.
    pub operation: OperationId,
    /// The row.
    pub row: DeskId,
}

impl RetryMark {
    /// Reads the header; `None` if the desk did not send the message.
    #[must_use]
    pub fn read(header: &MessageHeader) -> Option<Self> {
        let (operation, row) = header.bag.get(RETRIED_BY)?.as_str()?.split_once('/')?;
        Some(Self {
            operation: operation.parse().ok()?,
            row: row.parse().ok()?,
        })
    }

    /// Writes the header.
    pub fn write(&self, header: &mut MessageHeader) {
        header
            .bag
            .insert(RETRIED_BY, format!("{}/{}", self.operation, self.row));
    }
}

/// A message that is about to be kept at the desk.
///
/// The same message from the same channel has the same [`key`](Self::key), and each of its deaths has another
/// [`death`](Self::death). So a delivery that comes twice is kept once, and a second death of a message is noted at the
/// row of the first.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NewDeskMessage {
    /// The message, as it was delivered.
    pub message: Message,
    /// The header as JSON: what a store keeps.
    pub header: String,
    /// Identifies the message: its id, its source and its content, without what its rejections have added.
    pub key: String,
    /// Identifies this death of the message.
    pub death: String,
    /// The channel from which the message was taken.
    pub source: ChannelName,
    /// The channel that rejected the message, to which it can be sent back; `None` if it is unknown.
    pub channel: Option<ChannelName>,
    /// Whether it was a dead letter or invalid.
    pub kind: RejectionKind,
    /// The handler that failed, if the rejection tells.
    pub handler: Option<String>,
    /// The type of the error, if the rejection tells.
    pub error_type: Option<String>,
    /// The text of the error; empty if the broker rejected the message by itself.
    pub error: String,
    /// The text of the error without its numbers and ids.
    pub pattern: String,
    /// The group of messages that died alike.
    pub group: GroupKey,
    /// The number of times that the message was delivered to be handled, if the rejection tells.
    pub attempts: Option<u32>,
    /// The time of the rejection, if it tells.
    pub died_at: Option<SystemTime>,
    /// The operation that had sent the message, if one had.
    pub retried: Option<RetryMark>,
}

impl NewDeskMessage {
    /// Returns a message that was taken from `source`. `channel` is the one that rejected it, and `kind` tells whether
    /// the source holds dead letters or invalid messages.
    ///
    /// # Errors
    /// Returns an error if the header cannot be written as JSON: it holds a number that is not finite.
    pub fn new(
        message: Message,
        source: ChannelName,
        channel: Option<ChannelName>,
        kind: RejectionKind,
    ) -> Result<Self, BoxError> {
        let header = serde_json::to_string(&message.header)?;
        let rejected = Rejection::read(&message.header);
        let text = |name| {
            let text = message.header.bag.get(name).and_then(BagValue::as_str)?;
            let text = escaped(text).into_owned();
            Some(cut(&text, MAX_NAME_BYTES).to_owned()).filter(|text| !text.is_empty())
        };
        let handler = text(rejection_headers::HANDLER);
        let error_type = text(rejection_headers::ERROR_TYPE);
        let error = rejected
            .as_ref()
            .map_or_else(String::new, |rejected| rejected.rejection.reason.clone());
        let pattern = error_pattern(&error);
        let channel_name = channel.as_ref().map_or("", ChannelName::as_str);
        Ok(Self {
            group: GroupKey::of([
                channel_name,
                kind.as_str(),
                handler.as_deref().unwrap_or_default(),
                error_type.as_deref().unwrap_or_default(),
                &pattern,
            ]),
            key: key(&message, &source)?,
            death: hash([header.as_bytes(), message.body.as_bytes()]),
            attempts: rejected.as_ref().and_then(|rejected| rejected.attempts),
            died_at: rejected.as_ref().and_then(|rejected| rejected.at),
            retried: RetryMark::read(&message.header),
            message,
            header,
            source,
            channel,
            kind,
            handler,
            error_type,
            error,
            pattern,
        })
    }
}

/// Returns the key of a message, which its rejections and returns do not change.
fn key(message: &Message, source: &ChannelName) -> Result<String, BoxError> {
    let mut header = message.header.clone();
    header.handled_count = 0;
    without_notes(&mut header);
    let header = serde_json::to_vec(&header)?;
    Ok(hash([
        source.as_str().as_bytes(),
        &header,
        message.body.as_bytes(),
    ]))
}

/// Removes the headers that a rejection and the desk have added.
pub(super) fn without_notes(header: &mut MessageHeader) {
    let names = header.bag.iter().map(|(name, _)| name.to_owned());
    let notes: Vec<_> = names
        .filter(|name| rejection_headers::is_one(name) || name == RETRIED_BY)
        .collect();
    for name in notes {
        header.bag.remove(&name);
    }
}

fn hash<const N: usize>(parts: [&[u8]; N]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The result of keeping a message at the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Taken {
    /// The message is new.
    New,
    /// The message was there, and has died again.
    Again,
    /// This death of the message was there: it was delivered twice.
    Known,
}

/// A message at the desk, without its header and body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeskRow {
    /// The number of the row.
    pub id: DeskId,
    /// The id of the message.
    pub message_id: MessageId,
    /// The topic to which the message was published.
    pub topic: String,
    /// The kind of the message.
    pub message_type: String,
    /// The channel from which the message was taken.
    pub source: ChannelName,
    /// The channel that rejected the message, to which it can be sent back; `None` if it is unknown.
    pub channel: Option<ChannelName>,
    /// Whether it was a dead letter or invalid.
    pub kind: RejectionKind,
    /// The handler that failed last, if the rejection tells.
    pub handler: Option<String>,
    /// The type of the last error, if the rejection tells.
    pub error_type: Option<String>,
    /// The text of the last error.
    pub error: String,
    /// The group of messages that died alike.
    pub group: GroupKey,
    /// The number of times that the message was delivered before its last death, if the rejection tells.
    pub attempts: Option<u32>,
    /// The number of times that the message has died.
    pub deaths: u64,
    /// The time of the last death.
    pub died_at: SystemTime,
    /// The state.
    pub state: DeskState,
    /// The comment of a person.
    pub comment: Option<String>,
    /// The last operation on the message.
    pub operation: Option<OperationId>,
    /// The number of bytes of the body.
    pub body_bytes: u64,
}

impl DeskRow {
    /// Returns a row that tells nothing else, for a store to fill.
    #[must_use]
    pub fn empty(id: DeskId, message_id: MessageId, source: ChannelName, kind: RejectionKind) -> Self {
        Self {
            id,
            message_id,
            topic: String::new(),
            message_type: String::new(),
            source,
            channel: None,
            kind,
            handler: None,
            error_type: None,
            error: String::new(),
            group: GroupKey::new(0),
            attempts: None,
            deaths: 0,
            died_at: SystemTime::UNIX_EPOCH,
            state: DeskState::Waiting,
            comment: None,
            operation: None,
            body_bytes: 0,
        }
    }

    /// Returns a row with what a new message tells.
    #[must_use]
    pub fn new(id: DeskId, new: &NewDeskMessage, now: SystemTime) -> Self {
        Self {
            id,
            message_id: new.message.header.id.clone(),
            topic: new.message.header.topic.as_str().to_owned(),
            message_type: new.message.header.message_type.as_str().to_owned(),
            source: new.source.clone(),
            channel: new.channel.clone(),
            kind: new.kind,
            handler: new.handler.clone(),
            error_type: new.error_type.clone(),
            error: new.error.clone(),
            group: new.group,
            attempts: new.attempts,
            deaths: 1,
            died_at: new.died_at.unwrap_or(now),
            state: DeskState::Waiting,
            comment: None,
            operation: None,
            body_bytes: new.message.body.len() as u64,
        }
    }
}

/// One death of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Death {
    /// The time of the death.
    pub at: SystemTime,
    /// The text of the error.
    pub error: String,
    /// The number of times that the message was delivered before, if the rejection tells.
    pub attempts: Option<u32>,
}

impl Death {
    /// Returns a death.
    #[must_use]
    pub fn new(at: SystemTime, error: String, attempts: Option<u32>) -> Self {
        Self { at, error, attempts }
    }
}

/// A message at the desk, with its header, body and deaths.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeskMessage {
    /// The facts that are known without the message itself.
    pub row: DeskRow,
    /// The message, as it was first delivered.
    pub message: Message,
    /// The deaths, the first one first.
    pub deaths: Vec<Death>,
}

impl DeskMessage {
    /// Returns a message with its row and deaths.
    #[must_use]
    pub fn new(row: DeskRow, message: Message, deaths: Vec<Death>) -> Self {
        Self { row, message, deaths }
    }

    /// Returns the message to send: as if it had never been handled, with the mark of the operation.
    #[must_use]
    pub fn anew(&self, operation: &OperationId) -> Message {
        let mut message = self.message.clone();
        message.header.handled_count = 0;
        without_notes(&mut message.header);
        let mark = RetryMark {
            operation: *operation,
            row: self.row.id,
        };
        mark.write(&mut message.header);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{MessageBody, MessageType};

    fn dead(error: &str, body: &str) -> NewDeskMessage {
        let mut header = MessageHeader::new("one".into(), "Order.Placed", MessageType::Event);
        header.timestamp = SystemTime::UNIX_EPOCH;
        Rejection::new(RejectionKind::DeadLetter, error).annotate(&mut header);
        header
            .bag
            .insert(rejection_headers::TIMESTAMP, "2026-12-01T00:00:00Z");
        let message = Message::new(header, MessageBody::new(body.to_owned()));
        let (source, channel) = ("orders.dlq".into(), Some("orders".into()));
        NewDeskMessage::new(message, source, channel, RejectionKind::DeadLetter).unwrap()
    }

    #[test]
    fn a_message_has_one_key_and_each_death_its_own() {
        let (first, again) = (dead("no 1", "{}"), dead("no 2", "{}"));
        assert_eq!(first.key, again.key);
        assert_ne!(first.death, again.death);
        assert_eq!(first.group, again.group);
        assert_eq!(first, dead("no 1", "{}"));
        assert_ne!(
            first.key,
            dead("no 1", "[]").key,
            "the same id with other content"
        );
    }

    #[test]
    fn a_returned_message_that_dies_again_has_another_death() {
        let first = dead("no", "{}");
        let row = DeskRow::new(DeskId::new(7), &first, SystemTime::UNIX_EPOCH);
        let kept = DeskMessage::new(row, first.message.clone(), Vec::new());
        let operation = OperationId::new();
        let sent = kept.anew(&operation);
        assert!(Rejection::read(&sent.header).is_none());
        assert_eq!(
            RetryMark::read(&sent.header),
            Some(RetryMark {
                operation,
                row: DeskId::new(7)
            })
        );
        let (source, channel) = (first.source.clone(), first.channel.clone());
        let again = NewDeskMessage::new(sent, source, channel, RejectionKind::DeadLetter).unwrap();
        assert_eq!(again.key, first.key);
        assert_ne!(again.death, first.death);
    }

    #[test]
    fn a_number_that_json_cannot_write_is_refused() {
        let mut header = MessageHeader::new("one".into(), "Order.Placed", MessageType::Event);
        header.bag.insert("x", f64::NAN);
        let message = Message::new(header, MessageBody::new("{}"));
        NewDeskMessage::new(message, "a".into(), None, RejectionKind::Invalid).unwrap_err();
    }
}
