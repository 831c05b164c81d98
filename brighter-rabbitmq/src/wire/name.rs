//! The names of headers: ours, in every spelling that somebody writes, and the broker's.

/// A header that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KnownHeader {
    MessageType,
    Topic,
    HandledCount,
    CorrelationId,
    Id,
    SpecVersion,
    Type,
    Source,
    Time,
    Subject,
    DataSchema,
    TraceParent,
    TraceState,
    Baggage,
    Delay,
    OriginalId,
    DeliveryTag,
    NotBefore,
    Redeliveries,
    ContentType,
    Kind,
}

/// Beside each the name that is written, in exactly this case: .NET reads no other.
const NAMES: [(KnownHeader, &str); KnownHeader::COUNT] = [
    (KnownHeader::MessageType, "MessageType"),
    (KnownHeader::Topic, "Topic"),
    (KnownHeader::HandledCount, "HandledCount"),
    (KnownHeader::CorrelationId, "CorrelationId"),
    (KnownHeader::Id, "cloudEvents_id"),
    (KnownHeader::SpecVersion, "cloudEvents_specversion"),
    (KnownHeader::Type, "cloudEvents_type"),
    (KnownHeader::Source, "cloudEvents_source"),
    (KnownHeader::Time, "cloudEvents_time"),
    (KnownHeader::Subject, "cloudEvents_subject"),
    (KnownHeader::DataSchema, "cloudEvents_dataschema"),
    (KnownHeader::TraceParent, "cloudEvents_traceparent"),
    // The small `e` is .NET's.
    (KnownHeader::TraceState, "cloudevents_tracestate"),
    (KnownHeader::Baggage, "baggage"),
    // What the exchange that delays has done. Nothing of ours is delayed by it.
    (KnownHeader::Delay, "x-delay"),
    // .NET gives what it sends again another id, and notes the first here.
    (KnownHeader::OriginalId, "x-original-message-id"),
    // .NET adds it to what it sends again; it means nothing to the next reader.
    (KnownHeader::DeliveryTag, "DeliveryTag"),
    // Of what waits for longer than the broker keeps it in one go.
    (KnownHeader::NotBefore, NOT_BEFORE),
    // In a copy that takes the place of a message, for a broker that does not count or must not.
    (KnownHeader::Redeliveries, "x-brighter-redeliveries"),
    // In a copy, what its sender wrote in two properties that .NET could not read.
    (KnownHeader::ContentType, "x-brighter-content-type"),
    (KnownHeader::Kind, "x-brighter-type"),
];

/// When a message is due, in milliseconds since 1970.
pub(super) const NOT_BEFORE: &str = "x-brighter-not-before";

/// A misspelling that .NET reads and writes beside the right one.
pub(super) const TRACE_STATE_TWIN: &str = "cloudevents_:tracestate";

/// As the synchronous gateway of Brighter for .NET spells the fields of CloudEvents; it reads no other.
pub(super) const WITH_COLON: [(KnownHeader, &str); 9] = [
    (KnownHeader::Id, "cloudEvents:id"),
    (KnownHeader::SpecVersion, "cloudEvents:specversion"),
    (KnownHeader::Type, "cloudEvents:type"),
    (KnownHeader::Source, "cloudEvents:source"),
    (KnownHeader::Time, "cloudEvents:time"),
    (KnownHeader::Subject, "cloudEvents:subject"),
    (KnownHeader::DataSchema, "cloudEvents:dataschema"),
    (KnownHeader::TraceParent, "cloudEvents:traceparent"),
    (KnownHeader::TraceState, "cloudevents:tracestate"),
];

/// Without Brighter's prefix, as OpenTelemetry's own instrumentations write them.
pub(super) const BARE_TRACE_PARENT: &str = "traceparent";
pub(super) const BARE_TRACE_STATE: &str = "tracestate";

/// What .NET's client and its gateway write for themselves. It tells nothing of the message.
const PLUMBING: [&str; 2] = ["x-dotnet-pub-seq-no", "Redelivered"];

/// Send the message to further queues: RabbitMQ's "sender-selected distribution".
const STEERS: [&str; 2] = ["CC", "BCC"];
/// What the broker writes when it moves a message itself, or delivers it again.
const BROKERS: [&str; 5] = [
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
];

impl KnownHeader {
    pub(super) const COUNT: usize = 21;

    /// What the sender says of the event and its trace: it stays as it came in every copy.
    pub(super) const SENDERS: [Self; 7] = [
        Self::Type,
        Self::Source,
        Self::Subject,
        Self::DataSchema,
        Self::TraceParent,
        Self::TraceState,
        Self::Baggage,
    ];

    /// Whether it says to which trace a message belongs.
    pub(super) fn is_of_the_trace(self) -> bool {
        matches!(self, Self::TraceParent | Self::TraceState)
    }

    /// The name that is written.
    pub(super) fn as_str(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// Which header this is: written in any case, with `cloudEvents:` for `cloudEvents_`, as the CloudEvents
    /// binding for AMQP and .NET's older client have it.
    pub(super) fn of(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(_, ours)| same(ours, name));
        let twin = || same(TRACE_STATE_TWIN, name).then_some(Self::TraceState);
        found.map(|(known, _)| *known).or_else(twin)
    }
}

fn same(one: &str, other: &str) -> bool {
    let alike = |a: u8, b: u8| a.eq_ignore_ascii_case(&b) || (is_separator(a) && is_separator(b));
    // From the end: many begin alike.
    one.len() == other.len()
        && one
            .bytes()
            .rev()
            .zip(other.bytes().rev())
            .all(|(a, b)| alike(a, b))
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b':')
}

pub(super) fn steers_the_broker(name: &str) -> bool {
    STEERS.contains(&name)
}

/// Whether a copy that comes again has a header of this name, which is none of ours.
pub(super) fn is_copied(name: &str) -> bool {
    !steers_the_broker(name) && !is_brokers(name) && !PLUMBING.contains(&name)
}

fn is_brokers(name: &str) -> bool {
    BROKERS.iter().any(|brokers| name.starts_with(brokers))
}

/// Whether an application may have a header of this name. Any other would not add to the message: it would
/// change where it goes, or what it is.
pub(super) fn is_free(name: &str) -> bool {
    KnownHeader::of(name).is_none() && is_copied(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_known() {
        for (index, (known, name)) in NAMES.iter().enumerate() {
            assert_eq!(*known as usize, index);
            assert_eq!(known.as_str(), *name);
            for spelling in [
                name.to_string(),
                name.to_lowercase(),
                name.to_uppercase(),
                name.replace('_', ":"),
            ] {
                assert_eq!(KnownHeader::of(&spelling), Some(*known), "{spelling}");
            }
        }
        assert_eq!(
            KnownHeader::of("cloudEvents_:traceState"),
            Some(KnownHeader::TraceState)
        );
        for other in ["", "cloudEvents", "cloudEvents_subject2", "tenant", "x-delays"] {
            assert_eq!(KnownHeader::of(other), None, "{other}");
        }
    }
}
