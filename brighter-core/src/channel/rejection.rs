//! [`Rejection`]: why a message is rejected, and the headers that record it.

use std::borrow::Cow;
use std::time::SystemTime;

use super::Rounds;
use crate::cut::cut;
use crate::escape::escaped;
use crate::message::{BagValue, MessageHeader, RoutingKey, rfc3339};

/// Why a message is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The kind of rejection, which selects the channel.
    pub kind: RejectionKind,
    /// The reason, for the person who reads the dead letter. Its length is limited: see [`Rejection::new`].
    pub reason: String,
    /// The handler that failed, if one did.
    pub handler: Option<String>,
    /// The kind of error in one word, if it is known: `failed`, `timed_out`, `panicked`.
    pub error_type: Option<String>,
    /// How often each channel has rejected the message, this time included; `None` leaves the count unchanged.
    #[doc(hidden)]
    pub rounds: Option<Rounds>,
}

/// The headers of a rejected message, under Brighter's names.
///
/// Brighter's gateways have two spellings. brighter writes this one; [`Rejection::read`] reads both.
pub mod rejection_headers {
    /// The kind, `DeliveryError` or `Unacceptable`: see [`RejectionKind::as_str`](super::RejectionKind::as_str).
    pub const REASON: &str = "rejectionReason";
    /// The reason.
    pub const MESSAGE: &str = "rejectionMessage";
    /// The time of the rejection, as RFC 3339.
    pub const TIMESTAMP: &str = "rejectionTimestamp";
    /// The number of times the message was delivered to be handled, the last time included.
    pub const ATTEMPTS: &str = "rejectionAttempts";
    /// The topic to which the message was published.
    pub const ORIGINAL_TOPIC: &str = "originalTopic";
    /// The kind of the message.
    pub const ORIGINAL_TYPE: &str = "originalMessageType";

    /// The handler that failed. Brighter for .NET does not know it.
    pub const HANDLER: &str = "rejectionHandler";
    /// The kind of error in one word. Brighter for .NET does not know it.
    pub const ERROR_TYPE: &str = "rejectionErrorType";
    /// The number of times each channel has rejected the message, as JSON. It reveals a message that circulates.
    /// Brighter for .NET does not know it.
    pub const REJECTED_BY: &str = "rejectedBy";

    /// The spelling of Brighter's gateway for Kafka, which differs in more than the case.
    pub(super) const OTHER_ORIGINAL_TYPE: &str = "OriginalType";

    /// All these headers, in every spelling except for the case.
    const ALL: [&str; 10] = [
        REASON,
        MESSAGE,
        TIMESTAMP,
        ATTEMPTS,
        ORIGINAL_TOPIC,
        ORIGINAL_TYPE,
        OTHER_ORIGINAL_TYPE,
        HANDLER,
        ERROR_TYPE,
        REJECTED_BY,
    ];

    /// Returns whether a header of this name records a rejection, by brighter or by Brighter for .NET.
    #[doc(hidden)]
    pub fn is_one(name: &str) -> bool {
        ALL.iter().any(|note| note.eq_ignore_ascii_case(name))
    }
}

/// The rejection that the headers of a message record: see [`Rejection::read`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// The kind and the reason.
    pub rejection: Rejection,
    /// The topic to which the message was published.
    pub topic: Option<RoutingKey>,
    /// The kind of the message: `MT_COMMAND`, or another text from its sender.
    pub message_type: Option<String>,
    /// The time of the rejection.
    pub at: Option<SystemTime>,
    /// The number of times the message was delivered to be handled, the last time included.
    pub attempts: Option<u32>,
}

/// The channel to which a rejected message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The dead-letter channel: the message was understood and could not be handled.
    DeadLetter,
    /// The invalid-message channel: the message was not understood.
    Invalid,
}

impl Rejection {
    /// The longest reason that is kept, in bytes: it travels as a header.
    pub const MAX_REASON_BYTES: usize = 2048;

    /// Returns a rejection for this reason. Line breaks and other control characters in it are escaped, and it is cut to
    /// [`MAX_REASON_BYTES`](Self::MAX_REASON_BYTES).
    #[must_use]
    pub fn new(kind: RejectionKind, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(cut(&reason, Self::MAX_REASON_BYTES).len());
        if let Cow::Owned(mut escaped) = escaped(&reason) {
            escaped.truncate(cut(&escaped, Self::MAX_REASON_BYTES).len());
            reason = escaped;
        }
        Self {
            kind,
            reason,
            handler: None,
            error_type: None,
            rounds: None,
        }
    }

    /// Sets the handler that failed, and the kind of its error in one word. They travel with the dead letter, so that
    /// dead letters can be grouped.
    #[must_use]
    pub fn by_handler(mut self, handler: impl Into<String>, error_type: impl Into<String>) -> Self {
        self.handler = Some(handler.into());
        self.error_type = Some(error_type.into());
        self
    }

    /// Records the rejection in a header, with the current time, under the names of [`rejection_headers`].
    pub fn annotate(&self, header: &mut MessageHeader) {
        let rounds = header.bag.get(rejection_headers::REJECTED_BY).cloned();
        // Headers of an earlier rejection, in any spelling.
        let noted = header.bag.iter().map(|(name, _)| name.to_owned());
        for name in noted
            .filter(|name| rejection_headers::is_one(name))
            .collect::<Vec<_>>()
        {
            header.bag.remove(&name);
        }
        let attempts = header.handled_count.saturating_add(1);
        let message_type = Some(header.message_type.as_str());
        for (name, value) in self.notes(header.topic.as_str(), message_type, attempts, SystemTime::now()) {
            header.bag.insert(name, value);
        }
        if let (None, Some(rounds)) = (&self.rounds, rounds) {
            header.bag.insert(rejection_headers::REJECTED_BY, rounds);
        }
    }

    /// Returns the headers to write, each under its name.
    #[doc(hidden)]
    pub fn notes(
        &self,
        topic: &str,
        message_type: Option<&str>,
        attempts: u32,
        now: SystemTime,
    ) -> impl Iterator<Item = (&'static str, BagValue)> {
        let text = |text: &str| BagValue::from(name(&escaped(text)));
        [
            (rejection_headers::REASON, Some(text(self.kind.as_str()))),
            (rejection_headers::MESSAGE, Some(self.reason.as_str().into())),
            (
                rejection_headers::TIMESTAMP,
                rfc3339::write(now).map(BagValue::from),
            ),
            (rejection_headers::ATTEMPTS, Some(attempts.into())),
            (rejection_headers::ORIGINAL_TOPIC, Some(text(topic))),
            (rejection_headers::ORIGINAL_TYPE, message_type.map(text)),
            (rejection_headers::HANDLER, self.handler.as_deref().map(text)),
            (
                rejection_headers::ERROR_TYPE,
                self.error_type.as_deref().map(text),
            ),
            (
                rejection_headers::REJECTED_BY,
                self.rounds.as_ref().map(|rounds| rounds.write().into()),
            ),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// Returns the rejection that a header records; `None` if the message was not rejected. Headers of brighter and of
    /// every gateway of Brighter for .NET can be read.
    ///
    /// ```
    /// use brighter::channel::{Rejection, RejectionKind};
    /// use brighter::message::{MessageHeader, MessageType};
    /// use brighter::MessageId;
    ///
    /// let mut header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command);
    /// assert!(Rejection::read(&header).is_none());
    /// Rejection::new(RejectionKind::DeadLetter, "no such recipient").annotate(&mut header);
    /// let rejected = Rejection::read(&header).unwrap();
    /// assert_eq!(rejected.rejection.reason, "no such recipient");
    /// assert_eq!(rejected.topic, Some("Task.Reminder".into()));
    /// ```
    #[must_use]
    pub fn read(header: &MessageHeader) -> Option<Rejected> {
        use rejection_headers::{
            ATTEMPTS, MESSAGE, ORIGINAL_TOPIC, ORIGINAL_TYPE, OTHER_ORIGINAL_TYPE, REASON, TIMESTAMP,
        };
        let find = |name: &str| {
            header.bag.get(name).or_else(|| {
                let mut all = header.bag.iter();
                all.find(|(other, _)| other.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
            })
        };
        let text = |name| find(name).and_then(BagValue::as_str);
        let reason = text(REASON)?;
        let mut rejection = Self::new(RejectionKind::of(reason), text(MESSAGE).unwrap_or(reason));
        rejection.handler = text(rejection_headers::HANDLER).map(str::to_owned);
        rejection.error_type = text(rejection_headers::ERROR_TYPE).map(str::to_owned);
        Some(Rejected {
            rejection,
            topic: text(ORIGINAL_TOPIC)
                .filter(|topic| !topic.is_empty())
                .map(RoutingKey::from),
            message_type: text(ORIGINAL_TYPE)
                .or_else(|| text(OTHER_ORIGINAL_TYPE))
                .map(str::to_owned),
            at: text(TIMESTAMP).and_then(rfc3339::read),
            attempts: find(ATTEMPTS)
                .and_then(BagValue::as_i64)
                .and_then(|attempts| u32::try_from(attempts).ok()),
        })
    }
}

impl RejectionKind {
    /// Returns the text of the header, which is Brighter's: `DeliveryError` or `Unacceptable`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "DeliveryError",
            Self::Invalid => "Unacceptable",
        }
    }

    /// Finds the word also within a sentence, as some gateways of .NET write it.
    fn of(reason: &str) -> Self {
        if reason.contains(Self::Invalid.as_str()) {
            Self::Invalid
        } else {
            Self::DeadLetter
        }
    }
}

/// Cuts a text from another system to the length of a name.
fn name(text: &str) -> &str {
    cut(text, crate::message::MAX_NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::MessageId;
    use crate::message::MessageType;

    fn header() -> MessageHeader {
        MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command)
    }

    #[test]
    fn recorded_rounds_are_read() {
        let mut noted = header();
        noted.handled_count = 4;
        noted.bag.insert("OriginalType", "of an earlier time");
        assert_eq!(Rejection::read(&noted), None);
        let before = SystemTime::now();
        let rejection = Rejection::new(RejectionKind::Invalid, "é".repeat(2000));
        assert_eq!(rejection.reason.len(), 2048);
        rejection.annotate(&mut noted);
        let read = Rejection::read(&noted).unwrap();
        assert_eq!(read.rejection, rejection);
        assert_eq!(read.topic, Some("Task.Reminder".into()));
        assert_eq!(read.message_type.as_deref(), Some("MT_COMMAND"));
        assert_eq!(read.attempts, Some(5));
        assert_eq!(noted.bag.len(), 6);
        let since = read.at.unwrap().duration_since(before).unwrap_or_default();
        assert!(since.as_secs() < 60);
    }

    #[test]
    fn no_line_of_a_stranger_gets_into_a_note() {
        let foreign = "a\r\nX: y\u{202e}\u{1b}";
        let rejection = Rejection::new(RejectionKind::Invalid, foreign.repeat(400));
        assert!(rejection.reason.len() <= Rejection::MAX_REASON_BYTES);
        let mut noted = header();
        noted.topic = foreign.into();
        rejection.annotate(&mut noted);
        let notes = rejection.notes(foreign, Some(foreign), 1, SystemTime::now());
        let of_header = noted.bag.iter().map(|(name, value)| (name, value.clone()));
        for (name, value) in notes.chain(of_header.map(|(_, value)| ("of the header", value))) {
            let value = value.to_string();
            assert!(
                !value.contains(['\r', '\n', '\u{202e}', '\u{1b}']),
                "{name}: {value:?}"
            );
        }
    }

    #[test]
    fn both_spellings_of_dotnet_are_read() {
        for names in [
            [
                "originalTopic",
                "originalMessageType",
                "rejectionReason",
                "rejectionMessage",
                "rejectionTimestamp",
            ],
            [
                "OriginalTopic",
                "OriginalType",
                "RejectionReason",
                "RejectionMessage",
                "RejectionTimestamp",
            ],
        ] {
            let mut noted = header();
            for (name, value) in names.into_iter().zip([
                "Orders",
                "MT_EVENT",
                "DeliveryError",
                "no stock",
                "2026-09-21T14:13:20.1234567+00:00",
            ]) {
                noted.bag.insert(name, value);
            }
            let read = Rejection::read(&noted).unwrap();
            assert_eq!(
                read.rejection,
                Rejection::new(RejectionKind::DeadLetter, "no stock")
            );
            assert_eq!(read.topic, Some("Orders".into()));
            assert_eq!(read.message_type.as_deref(), Some("MT_EVENT"));
            assert!(read.at.is_some());
            assert_eq!(read.attempts, None);
        }
        // The gateway for RabbitMQ writes a sentence.
        let mut noted = header();
        let sentence = "Message rejected reason: Unacceptable Description: bad MIME";
        noted.bag.insert("RejectionReason", sentence);
        let read = Rejection::read(&noted).unwrap();
        assert_eq!(read.rejection, Rejection::new(RejectionKind::Invalid, sentence));
    }
}
