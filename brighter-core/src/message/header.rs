//! [`MessageHeader`]: the metadata of a message.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::event::{DEFAULT_SOURCE, EventAttributes};
use super::media_type::{self, DEFAULT_CONTENT_TYPE};
use super::{Bag, BagValue, NameError, RoutingKey, routing};
use crate::id::MessageId;
use crate::trace::TraceContext;

/// The header that carries the partition key of a message, by the extension of CloudEvents.
pub const PARTITION_KEY: &str = "partitionkey";

/// The kind of request that a message carries, which decides how the message is dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MessageType {
    /// A command, for exactly one handler.
    #[serde(rename = "MT_COMMAND")]
    Command,
    /// An event, for every handler that subscribes to it.
    #[serde(rename = "MT_EVENT")]
    Event,
    /// Data, dispatched like an event.
    #[serde(rename = "MT_DOCUMENT")]
    Document,
}

impl MessageType {
    /// Returns the text on the wire, which is Brighter's: `MT_COMMAND`, `MT_EVENT`, `MT_DOCUMENT`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "MT_COMMAND",
            Self::Event => "MT_EVENT",
            Self::Document => "MT_DOCUMENT",
        }
    }

    /// Parses the text of [`as_str`](Self::as_str), ignoring case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Command, Self::Event, Self::Document]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

/// The metadata of a message, which the framework uses without reading the body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MessageHeader {
    /// The identity of the message, which stays the same each time the message is sent.
    pub id: MessageId,
    /// The topic to which the message is published.
    pub topic: RoutingKey,
    /// The kind of request that the message carries.
    pub message_type: MessageType,
    /// The time at which the message was made, by its sender's clock.
    pub timestamp: SystemTime,
    /// The id of the conversation that the message belongs to.
    pub correlation_id: Option<MessageId>,
    /// The id of the message whose handling posted this one. The outbox uses it; a broker need not carry it.
    #[serde(default)]
    pub causation_id: Option<MessageId>,
    /// The media type of the body.
    pub content_type: Cow<'static, str>,
    /// The topic for an answer, set by the sender. Nothing answers automatically.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<RoutingKey>,
    /// The attributes that CloudEvents defines.
    #[serde(default, skip_serializing_if = "EventAttributes::is_empty")]
    pub event: EventAttributes,
    /// The priority of the message. A channel with priorities delivers a higher one first, and a message without
    /// priority last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// The trace that the message belongs to.
    #[serde(default, skip_serializing_if = "TraceContext::is_empty")]
    pub trace: TraceContext,
    /// The delay after which the broker delivered the message, as its sender had asked. It is only read: it does not
    /// delay a message that is published.
    #[serde(skip)]
    pub delayed: Duration,
    /// The number of times the message was handed to a handler and returned: 0 the first time.
    pub handled_count: u32,
    /// The headers that the application adds.
    pub bag: Bag,
}

impl MessageHeader {
    /// Returns a header with the current time, [`DEFAULT_CONTENT_TYPE`], and nothing else.
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
            reply_to: None,
            event: EventAttributes::default(),
            priority: None,
            trace: TraceContext::default(),
            delayed: Duration::ZERO,
            handled_count: 0,
            bag: Bag::default(),
        }
    }

    /// Sets the media type of the body.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<Cow<'static, str>>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// Sets the correlation id.
    #[must_use]
    pub fn with_correlation_id(mut self, id: MessageId) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// Sets the id of the message whose handling posted this one.
    #[must_use]
    pub fn with_causation_id(mut self, id: MessageId) -> Self {
        self.causation_id = Some(id);
        self
    }

    /// Sets the topic for an answer.
    #[must_use]
    pub fn with_reply_to(mut self, topic: impl Into<RoutingKey>) -> Self {
        self.reply_to = Some(topic.into());
        self
    }

    /// Sets the attributes that CloudEvents defines.
    #[must_use]
    pub fn with_event(mut self, event: EventAttributes) -> Self {
        self.event = event;
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Returns the key by which a broker distributes a topic over partitions: the text in the bag under
    /// [`PARTITION_KEY`].
    #[must_use]
    pub fn partition_key(&self) -> Option<&str> {
        self.bag.get(PARTITION_KEY).and_then(BagValue::as_str)
    }

    /// Sets the trace that the message belongs to.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = trace;
        self
    }

    /// Returns the `type` of CloudEvents: the topic, unless the message has another.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.event
            .event_type
            .as_deref()
            .unwrap_or_else(|| self.topic.as_str())
    }

    /// Returns the `source` of CloudEvents.
    #[must_use]
    pub fn source(&self) -> &str {
        self.event.source.as_deref().unwrap_or(DEFAULT_SOURCE)
    }

    /// Checks that every broker can carry this header. The values in the bag are limited only by the total size that a
    /// broker allows; the names in the bag must be short.
    ///
    /// # Errors
    /// The id, the topic, the reply address, the content type or a name in the bag has more than
    /// [`MAX_NAME_BYTES`](super::MAX_NAME_BYTES) bytes; or one of the first four, an attribute of the event or
    /// the correlation id is empty or holds a control character; or the content type is no media type.
    pub fn validate(&self) -> Result<(), NameError> {
        if let Some(id) = self.id.unusual() {
            routing::check("message id", id)?;
        }
        self.topic.validate()?;
        self.check_content_type()?;
        if let Some(id) = self.correlation_id.as_ref().and_then(MessageId::unusual) {
            routing::check_text("correlation id", id)?;
        }
        if let Some(reply_to) = &self.reply_to {
            routing::check("reply address", reply_to.as_str())?;
        }
        self.event.validate()?;
        self.bag
            .iter()
            .try_for_each(|(name, _)| routing::check_length("header name", name))
    }

    fn check_content_type(&self) -> Result<(), NameError> {
        if self.content_type == DEFAULT_CONTENT_TYPE {
            return Ok(());
        }
        routing::check("content type", &self.content_type)?;
        media_type::check(&self.content_type).map_err(|why| NameError::ContentType {
            content_type: self.content_type.chars().take(48).collect(),
            why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of an outbox of the first release.
    const OLD_ROW: &str = r#"{"id":"0197f2a0-7c3e-7d5a-9b7e-1f2a3b4c5d6e","topic":"Task.Reminder",
        "message_type":"MT_COMMAND","timestamp":{"secs_since_epoch":1790000000,"nanos_since_epoch":123000000},
        "correlation_id":null,"content_type":"application/json; charset=utf-8","handled_count":2,
        "bag":{"tenant":"north"}}"#;

    #[test]
    fn a_stored_header_without_event_fields_is_read() {
        let header: MessageHeader = serde_json::from_str(OLD_ROW).unwrap();
        assert_eq!((header.handled_count, header.bag.len()), (2, 1));
        assert_eq!(header.causation_id, None);
        assert_eq!((header.reply_to.as_ref(), header.priority), (None, None));
        assert_eq!(header.event, EventAttributes::default());
        assert!(header.trace.is_empty());
        assert_eq!(
            (header.event_type(), header.source()),
            ("Task.Reminder", DEFAULT_SOURCE)
        );
    }

    #[test]
    fn a_header_is_stored_with_all_it_says() {
        let header = MessageHeader::new(MessageId::new(), "Order.Placed", MessageType::Event)
            .with_reply_to("Answers")
            .with_priority(7)
            .with_event(
                EventAttributes::default()
                    .with_type("Order.Placed.v2")
                    .with_source("urn:shop")
                    .with_subject("order-17")
                    .with_data_schema("urn:schema"),
            )
            .with_trace(TraceContext::default().with_baggage("tenant=north"));
        let json = serde_json::to_string(&header).unwrap();
        assert_eq!(serde_json::from_str::<MessageHeader>(&json).unwrap(), header);
        // Absent fields take no space.
        let plain = MessageHeader::new(MessageId::new(), "Order.Placed", MessageType::Event);
        let json = serde_json::to_string(&plain).unwrap();
        for absent in ["event", "trace", "reply_to", "priority"] {
            assert!(!json.contains(absent), "{json}");
        }
    }

    #[test]
    fn names_no_broker_can_carry_are_refused_by_name() {
        let plain = || MessageHeader::new(MessageId::new(), "topic", MessageType::Event);
        assert_eq!(plain().validate(), Ok(()));
        let mut long_name = plain();
        long_name.bag.insert("x".repeat(256), 1);
        let mut no_id = plain();
        no_id.id = "".into();
        let of_event = |subject| plain().with_event(EventAttributes::default().with_subject(subject));
        for (header, wrong) in [
            (no_id, "a message id cannot be empty"),
            (
                plain().with_content_type("x".repeat(256)),
                "a content type has at most 255 bytes",
            ),
            (
                plain().with_content_type("json"),
                "a content type is `type/subtype`",
            ),
            (
                plain().with_correlation_id("a\nb".into()),
                "a correlation id cannot hold control",
            ),
            (plain().with_reply_to(""), "a reply address cannot be empty"),
            (of_event("a\u{7}"), "a CloudEvents subject cannot hold control"),
            (long_name, "a header name has at most 255 bytes"),
        ] {
            let said = header.validate().unwrap_err().to_string();
            assert!(said.starts_with(wrong), "{said}");
        }
    }
}
