//! The [`Sweeper`]: sends what the outbox still holds.

use std::time::Duration;

use brighter_core::error::InvalidSetting;
use brighter_core::message::RoutingKey;

/// Sends what the outbox still holds: messages that were deposited in a transaction, or whose first sending
/// failed, or whose process died. It runs in the background of a processor that has an outbox and a broker,
/// oldest message first, and no error ends it.
///
/// It looks at intervals, and at once when the outbox tells of something: after a deposit in this process, and after
/// every commit in a PostgreSQL database, by whichever process.
///
/// Several processes may sweep one outbox; each message is claimed by one.
///
/// A topic for which the broker takes nothing is left alone for a while, then tried with one message; others do not
/// notice.
///
/// ```
/// use brighter::Sweeper;
/// use std::time::Duration;
///
/// let sweeper = Sweeper::default().interval(Duration::from_millis(200)).batch(500);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweeper {
    pub(super) interval: Duration,
    pub(super) min_age: Duration,
    pub(super) batch: usize,
    pub(super) lease: Duration,
    pub(super) attempts: u32,
    pub(super) pause: Option<(u32, Duration)>,
    pub(super) in_order: Vec<RoutingKey>,
}

impl Default for Sweeper {
    /// Every second, a hundred messages at once, of any age, claimed for a minute, and a hundred attempts for each
    /// before it is dead: that is seven hours. A topic that fails five times in a row is left alone for ten seconds.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            min_age: Duration::ZERO,
            batch: 100,
            lease: Duration::from_secs(60),
            attempts: 100,
            pause: Some((5, Duration::from_secs(10))),
            in_order: Vec::new(),
        }
    }
}

impl Sweeper {
    /// Looks this often, give or take a tenth, so that several processes do not look together; and without a pause
    /// while there is more.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Tries to publish a message this often before it is dead: it stays in the outbox, and is not tried again
    /// until it is revived. Only what the broker refuses counts, not an outage.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Leaves messages alone that are younger than this.
    #[must_use]
    pub fn min_age(mut self, age: Duration) -> Self {
        self.min_age = age;
        self
    }

    /// Sends at most this many at once. While they are under way as many again may be read.
    #[must_use]
    pub fn batch(mut self, messages: usize) -> Self {
        self.batch = messages;
        self
    }

    /// Claims messages for this long. It must be longer than the broker takes to confirm a batch; a process
    /// that dies while sending holds its messages up for as long.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Leaves a topic alone for this long when the broker has refused it this many times in a row: whole batches in
    /// which it took nothing for the topic, or single posts. Then one message is tried, and if that is taken
    /// the rest follows.
    #[must_use]
    pub fn pause_topic_after(mut self, failures: u32, pause: Duration) -> Self {
        self.pause = Some((failures, pause));
        self
    }

    /// Goes on with every topic, whatever the broker says.
    #[must_use]
    pub fn without_pauses(mut self) -> Self {
        self.pause = None;
        self
    }

    /// Sends the messages of this topic strictly in the order of their deposits, as
    /// [`Publication::in_order`](crate::Publication::in_order) does for the topic of a request: it is for a process that
    /// sends for others and has no publications. All processes that send for one outbox must be told the same.
    #[must_use]
    pub fn in_order(mut self, topic: impl Into<RoutingKey>) -> Self {
        self.keep_order(topic.into());
        self
    }

    /// Returns the settings that have a value they cannot have.
    pub(super) fn invalid(&self) -> impl Iterator<Item = InvalidSetting> {
        let failures = self.pause.map_or(1, |(failures, _)| failures);
        [
            InvalidSetting::if_zero("attempts", self.attempts),
            InvalidSetting::if_zero("batch", self.batch),
            InvalidSetting::if_zero("pause_topic_after", failures),
        ]
        .into_iter()
        .flatten()
    }

    pub(super) fn keep_order(&mut self, topic: RoutingKey) {
        if !self.in_order.contains(&topic) {
            self.in_order.push(topic);
        }
    }
}
