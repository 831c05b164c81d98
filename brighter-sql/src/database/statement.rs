//! [`Statement`]: SQL in the dialect of one database.

use std::sync::Arc;

/// A statement in the dialect of one database.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) text: Arc<str>,
    /// The positions of the values: a database without numbered values may need one twice.
    pub(crate) order: Vec<usize>,
    /// Whether the connection prepares the statement once and keeps it.
    pub(crate) is_kept: bool,
}
