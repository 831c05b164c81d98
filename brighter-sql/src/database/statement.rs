//! A [`Statement`]: SQL in the words of one database.

use std::sync::Arc;

/// A statement as one database wants it.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) text: Arc<str>,
    /// Which value stands where: a database that does not number them may want one twice.
    pub(crate) order: Vec<usize>,
    /// Whether the connection prepares it once and keeps it.
    pub(crate) is_kept: bool,
}
