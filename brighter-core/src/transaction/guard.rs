//! [`TransactionGuard`]: a resource that is held until a transaction has ended.

use std::fmt;

/// A resource that is held until a transaction has ended, such as the turn to write. It is dropped after the transaction.
#[must_use = "what it holds is given back when it is dropped"]
pub struct TransactionGuard {
    _held: Option<Box<dyn Send>>,
}

impl TransactionGuard {
    /// Returns a guard that drops `held` when the transaction has ended.
    pub fn new(held: impl Send + 'static) -> Self {
        Self {
            _held: Some(Box::new(held)),
        }
    }

    /// Returns a guard that holds nothing.
    pub fn none() -> Self {
        Self { _held: None }
    }
}

impl fmt::Debug for TransactionGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransactionGuard")
    }
}
