//! The [`InboxOptions`].

use std::time::Duration;

use crate::database::names;
use brighter_core::inbox::InboxError;

/// The table of an inbox unless told otherwise.
pub(crate) const TABLE: &str = "brighter_inbox";

/// What may be chosen of an inbox in a database.
///
/// ```
/// use std::time::Duration;
/// use brighter::store::InboxOptions;
///
/// let options = InboxOptions::default().retention(Duration::from_secs(30 * 24 * 60 * 60));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxOptions {
    table: String,
    pub(super) retention: Duration,
}

impl Default for InboxOptions {
    /// The table `brighter_inbox`, and what was handled is remembered for seven days.
    fn default() -> Self {
        Self {
            table: TABLE.into(),
            retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

impl InboxOptions {
    /// The name of the table, for two inboxes in one database: letters, digits and underscores, at most 40 of
    /// them, and no digit first.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Remembers what was handled for this long. It must be longer than the last duplicate may take to come.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// The name of the table, if it may be one.
    pub(crate) fn table_name(&self) -> Result<&str, InboxError> {
        names::checked(&self.table).map_err(|reason| InboxError::Other(reason.into()))
    }
}
