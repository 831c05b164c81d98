//! The [`MessageHeader`]: what the framework knows of a message without reading its body.

use std::borrow::Cow;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Bag, RoutingKey};
use crate::id::MessageId;

/// The content type of a message whose mapper says nothing else.
pub const DEFAULT_CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// What kind of request a message carries, which decides how it is dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MessageType {
    /// For exactly one handler.
    #[serde(rename = "MT_COMMAND")]
    Command,
    /// For every handler that wants it.
    #[serde(rename = "MT_EVENT")]
    Event,
    /// Data for whoever wants it; dispatched as an event is.
    #[serde(rename = "MT_DOCUMENT")]
    Document,
}

impl MessageType {
    /// The text on the wire, which is Brighter's: `MT_COMMAND`, `MT_EVENT`, `MT_DOCUMENT`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "MT_COMMAND",
            Self::Event => "MT_EVENT",
            Self::Document => "MT_DOCUMENT",
        }
    }

    /// Reads the text of [`as_str`](Self::as_str), in capitals or not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Command, Self::Event, Self::Document]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

/// What the framework knows of a message without reading its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MessageHeader {
    /// The identity of the message, which stays the same however often it is sent.
    pub id: MessageId,
    /// Where it is published.
    pub topic: RoutingKey,
    /// What it carries.
    pub message_type: MessageType,
    /// When it was made, by the clock of who made it.
    pub timestamp: SystemTime,
    /// The id that ties it to the conversation it belongs to.
    pub correlation_id: Option<MessageId>,
    /// The id of the message whose handling posted this one. It is for the outbox: a
    /// broker need not carry it.
    #[serde(default)]
    pub causation_id: Option<MessageId>,
    /// The media type of the body.
    pub content_type: Cow<'static, str>,
    /// How often it was handed to a handler and given back: 0 the first time.
    pub handled_count: u32,
    /// What the application adds.
    pub bag: Bag,
}

impl MessageHeader {
    /// A header with the time of now, [`DEFAULT_CONTENT_TYPE`], and nothing else.
    #[must_use]
    pub fn new(id: MessageId, topic: impl Into<RoutingKey>, message_type: MessageType) -> Self {
        Self {
            id,
            topic: topic.into(),
            message_type,
            timestamp: SystemTime::now(),
            correlation_id: None,
            causation_id: None,
            content_type: Cow::Borrowed(DEFAULT_CONTENT_TYPE),
            handled_count: 0,
            bag: Bag::default(),
        }
    }

    /// The same header with this media type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<Cow<'static, str>>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// The same header with this correlation id.
    #[must_use]
    pub fn with_correlation_id(mut self, id: MessageId) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// The same header, of a message that was posted by the handling of this one.
    #[must_use]
    pub fn with_causation_id(mut self, id: MessageId) -> Self {
        self.causation_id = Some(id);
        self
    }
}
