//! [`TransactionOptions`]: the options of a transaction of a handler.

use std::fmt;

/// The isolation of a transaction from others that run at the same time, as in the SQL standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsolationLevel {
    /// `READ COMMITTED`
    ReadCommitted,
    /// `REPEATABLE READ`
    RepeatableRead,
    /// `SERIALIZABLE`
    Serializable,
}

/// The options of a transaction of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TransactionOptions {
    /// The isolation level; `None` for the database's own setting.
    pub isolation: Option<IsolationLevel>,
    /// Whether the transaction only reads.
    pub read_only: bool,
}

impl TransactionOptions {
    /// Returns options with this isolation level, or with the database's own setting.
    #[must_use]
    pub fn isolation(mut self, level: Option<IsolationLevel>) -> Self {
        self.isolation = level;
        self
    }

    /// Returns options for a transaction that only reads, or for one that also writes.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }
}

impl fmt::Display for IsolationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadCommitted => "read_committed",
            Self::RepeatableRead => "repeatable_read",
            Self::Serializable => "serializable",
        })
    }
}
