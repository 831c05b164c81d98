//! The names of headers: brighter's, in every spelling in use, and the broker's.

/// A header of brighter.
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

/// The names that are written, in exactly this case: .NET reads no other.
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
    // .NET writes the small `e`.
    (KnownHeader::TraceState, "cloudevents_tracestate"),
    (KnownHeader::Baggage, "baggage"),
    // Set by the delaying exchange, which brighter does not use.
    (KnownHeader::Delay, "x-delay"),
    // .NET gives a retry a new id, and stores the first one here.
    (KnownHeader::OriginalId, "x-original-message-id"),
    // .NET adds it to retries; it has no meaning for the next reader.
    (KnownHeader::DeliveryTag, "DeliveryTag"),
    // For a delay that is longer than the longest of one queue.
    (KnownHeader::NotBefore, NOT_BEFORE),
    // In a copy that replaces a message, for a broker that does not count or must not.
    (KnownHeader::Redeliveries, "x-brighter-redeliveries"),
    // In a copy, what its sender wrote in two properties that .NET could not read.
    (KnownHeader::ContentType, "x-brighter-content-type"),
    (KnownHeader::Kind, "x-brighter-type"),
];

/// The time at which a message is due, in milliseconds since 1970.
pub(super) const NOT_BEFORE: &str = "x-brighter-not-before";

/// A misspelling that .NET reads and writes beside the correct name.
pub(super) const TRACE_STATE_TWIN: &str = "cloudevents_:tracestate";

/// Fields of CloudEvents as the synchronous gateway of Brighter for .NET spells them. It reads no other.
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

/// The names without Brighter's prefix, as OpenTelemetry's own instrumentations write them.
pub(super) const BARE_TRACE_PARENT: &str = "traceparent";
pub(super) const BARE_TRACE_STATE: &str = "tracestate";

/// The headers that .NET's client and its gateway write for themselves. They tell nothing of the message.
const PLUMBING: [&str; 2] = ["x-dotnet-pub-seq-no", "Redelivered"];

/// Headers that route the message to further queues: RabbitMQ's "sender-selected distribution".
const STEERS: [&str; 2] = ["CC", "BCC"];
/// Headers that the broker writes when it moves or redelivers a message itself.
const BROKERS: [&str; 5] = [
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
];

impl KnownHeader {
    pub(super) const COUNT: usize = 21;

    /// The attributes and the trace that the sender wrote: they are unchanged in every copy.
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

    /// Returns the name that is written.
    pub(super) fn as_str(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// Returns the header with this name: in any case, and with `cloudEvents:` for `cloudEvents_`, as in the
    /// CloudEvents binding for AMQP and in .NET's older client.
    pub(super) fn of(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(_, ours)| same(ours, name));
        let twin = || same(TRACE_STATE_TWIN, name).then_some(Self::TraceState);
        found.map(|(known, _)| *known).or_else(twin)
    }
}

fn same(one: &str, other: &str) -> bool {
    let alike = |a: u8, b: u8| a.eq_ignore_ascii_case(&b) || (is_separator(a) && is_separator(b));
    // Compared from the end, because many names begin alike.
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

/// Returns whether an application may use a header of this name. Any other name would change how the message is routed
/// or read.
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
