//! [`Selection`]: which messages of an outbox are meant.

use std::time::SystemTime;

use crate::message::RoutingKey;

/// Which of the messages that were dispatched are to be sent again: all, unless it says less.
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
    /// Those of this topic only.
    pub topic: Option<RoutingKey>,
    /// Those that were deposited then or later, by the clock of the database.
    pub since: Option<SystemTime>,
    /// Those that were deposited before.
    pub before: Option<SystemTime>,
    /// The dead in place of the dispatched.
    pub dead: bool,
    /// At most this many, the oldest.
    pub limit: usize,
}

impl Selection {
    /// The thousand oldest that were dispatched.
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

    /// Those of this topic only.
    #[must_use]
    pub fn topic(self, topic: impl Into<RoutingKey>) -> Self {
        Self {
            topic: Some(topic.into()),
            ..self
        }
    }

    /// Those that were deposited then or later, by the clock of the outbox.
    #[must_use]
    pub fn since(self, time: SystemTime) -> Self {
        Self {
            since: Some(time),
            ..self
        }
    }

    /// Those that were deposited before this.
    #[must_use]
    pub fn before(self, time: SystemTime) -> Self {
        Self {
            before: Some(time),
            ..self
        }
    }

    /// The dead, in place of those that were dispatched.
    #[must_use]
    pub fn dead(self) -> Self {
        Self { dead: true, ..self }
    }

    /// At most this many, the oldest; a thousand unless this is called.
    #[must_use]
    pub fn limit(self, messages: usize) -> Self {
        Self {
            limit: messages,
            ..self
        }
    }

    /// From when to when, in milliseconds since 1970: the first is part of it and the last is not.
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
