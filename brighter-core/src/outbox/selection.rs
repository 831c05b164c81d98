//! [`Selection`]: selects messages of an outbox to send again.

use std::time::SystemTime;

use crate::message::RoutingKey;

/// Selects dispatched messages to send again: all, up to the limit, unless a filter is set.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use brighter::outbox::Selection;
///
/// let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
/// let lost_by_the_warehouse = Selection::all().topic("Order.Placed").since(an_hour_ago).limit(10_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// Selects only messages of this topic.
    pub topic: Option<RoutingKey>,
    /// Selects messages that were deposited at this time or later, by the clock of the database.
    pub since: Option<SystemTime>,
    /// Selects messages that were deposited before this time.
    pub before: Option<SystemTime>,
    /// Selects dead messages in place of dispatched ones.
    pub dead: bool,
    /// The largest number of messages, the oldest first.
    pub limit: usize,
}

impl Selection {
    /// Selects the thousand oldest dispatched messages.
    #[must_use]
    pub fn all() -> Self {
        Self {
            topic: None,
            since: None,
            before: None,
            dead: false,
            limit: 1_000,
        }
    }

    /// Selects only messages of this topic.
    #[must_use]
    pub fn topic(self, topic: impl Into<RoutingKey>) -> Self {
        Self {
            topic: Some(topic.into()),
            ..self
        }
    }

    /// Selects messages that were deposited at this time or later, by the clock of the outbox.
    #[must_use]
    pub fn since(self, time: SystemTime) -> Self {
        Self {
            since: Some(time),
            ..self
        }
    }

    /// Selects messages that were deposited before this time.
    #[must_use]
    pub fn before(self, time: SystemTime) -> Self {
        Self {
            before: Some(time),
            ..self
        }
    }

    /// Selects dead messages in place of dispatched ones.
    #[must_use]
    pub fn dead(self) -> Self {
        Self { dead: true, ..self }
    }

    /// Sets the largest number of messages, the oldest first; the default is a thousand.
    #[must_use]
    pub fn limit(self, messages: usize) -> Self {
        Self {
            limit: messages,
            ..self
        }
    }

    /// Returns the range of deposit times in milliseconds since 1970: the start is included, and the end is not.
    #[doc(hidden)]
    pub fn range(&self) -> (i64, i64) {
        let millis = |time: SystemTime| {
            let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
        };
        (
            self.since.map_or(i64::MIN, millis),
            self.before.map_or(i64::MAX, millis),
        )
    }
}
