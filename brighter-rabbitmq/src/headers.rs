//! [`Headers`]: the headers that messages are published with.

use std::collections::BTreeMap;

use brighter_core::message::RoutingKey;

/// The headers that a message is published with: see [`RabbitMqBuilder::headers`](crate::RabbitMqBuilder::headers).
///
/// A consumer of brighter reads every form. The forms differ in size, in the broker's work for each message, and in who
/// else can read them.
///
/// | form | headers and properties of a plain message | readers |
/// |---|---|---|
/// | `Full` | 8 and 5 | brighter; Brighter for .NET with its asynchronous gateway; readers of CloudEvents |
/// | `BothSpellings` | 13 and 5 | also the synchronous gateway of Brighter for .NET |
/// | `Lean` | 0 or 1 and 4 | brighter |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Headers {
    /// Writes the headers of Brighter for .NET and the attributes of CloudEvents, such as `cloudEvents_id`.
    #[default]
    Full,
    /// Writes the attributes of CloudEvents with a colon too, such as `cloudEvents:id` beside `cloudEvents_id`. The
    /// synchronous gateway of Brighter for .NET reads no other. Adds about 200 bytes to a message. The trace is always
    /// written in both spellings.
    BothSpellings,
    /// Writes the properties of AMQP, and a header only for a value that differs from its default.
    ///
    /// Choose it for topics with many small messages that only brighter for Rust reads. A reader gets the same message
    /// as in the full form, except that the time of the message has whole seconds. A message without `MessageType` is an
    /// event, its topic is its routing key, and its `source` and `type` of CloudEvents are their defaults. A copy for a
    /// retry or a dead letter has the full form, because it is published under the name of a queue.
    ///
    /// Do not use it on a queue that Brighter for .NET reads.
    Lean,
}

impl Headers {
    /// The values of the configuration key.
    #[cfg(feature = "config")]
    pub(crate) const WORDS: &[&str] = &["full", "both-spellings", "lean"];

    /// Returns the value for a word of the configuration, which has checked it against `WORDS`.
    #[cfg(feature = "config")]
    pub(crate) fn configured(word: &str) -> Self {
        match word {
            "both-spellings" => Self::BothSpellings,
            "lean" => Self::Lean,
            _ => Self::Full,
        }
    }
}

/// The headers of each topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeaderSettings {
    default: Headers,
    topics: BTreeMap<RoutingKey, Headers>,
}

impl HeaderSettings {
    pub(crate) fn set_default(&mut self, headers: Headers) {
        self.default = headers;
    }

    pub(crate) fn set(&mut self, topic: RoutingKey, headers: Headers) {
        self.topics.insert(topic, headers);
    }

    /// Returns the headers of a topic.
    pub(crate) fn of(&self, topic: &RoutingKey) -> Headers {
        if self.topics.is_empty() {
            return self.default;
        }
        self.topics.get(topic).copied().unwrap_or(self.default)
    }
}
