//! What consumers have room for.

/// How many messages of a channel the consumers of this process have room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    pub(super) channel: i64,
    /// The oldest of them: the one that gets messages, where only one does.
    pub(super) consumer: u64,
    pub(super) rows: u32,
    /// Whether there may be any, besides what comes by this very cycle.
    pub(super) may_have: bool,
}
