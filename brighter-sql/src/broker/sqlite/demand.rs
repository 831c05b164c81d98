//! [`Demand`]: the room of consumers for messages.

/// The number of messages of a channel for which the consumers of this process have room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    pub(super) channel: i64,
    /// The oldest consumer, which is the active one of a single active consumer.
    pub(super) consumer: u64,
    pub(super) rows: u32,
    /// Whether there may be messages, apart from those of the current batch.
    pub(super) may_have: bool,
}
