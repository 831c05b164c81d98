//! The [`OutboxOptions`].

use crate::database::names;
use brighter_core::outbox::OutboxError;

/// The table of an outbox unless told otherwise.
pub(crate) const TABLE: &str = "brighter_outbox";

/// What may be chosen of an outbox in a database.
///
/// ```
/// use brighter::store::OutboxOptions;
///
/// let options = OutboxOptions::default().table("orders_outbox").limit(100_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxOptions {
    table: String,
    pub(super) limit: Option<u64>,
}

impl Default for OutboxOptions {
    /// The table `brighter_outbox`, and as many messages as the disk holds.
    fn default() -> Self {
        Self {
            table: TABLE.into(),
            limit: None,
        }
    }
}

impl OutboxOptions {
    /// The name of the table, for two outboxes in one database: letters, digits and underscores, at most 40 of
    /// them, and no digit first.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// How many messages may be outstanding, so that a broker that is away for long does not fill the disk: a
    /// deposit beyond it is refused with [`OutboxError::Full`].
    ///
    /// They are counted once a second at most, so of several processes each may store what fits at that moment.
    #[must_use]
    pub fn limit(mut self, messages: u64) -> Self {
        self.limit = Some(messages);
        self
    }

    /// The name of the table, if it may be one.
    pub(crate) fn table_name(&self) -> Result<&str, OutboxError> {
        names::checked(&self.table).map_err(|reason| OutboxError::Other(reason.into()))
    }
}
