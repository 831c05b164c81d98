//! What a [`Subscription`] says of the channel itself: who makes it, how the broker keeps it, what it may hold.

use std::time::Duration;

use super::Subscription;
use brighter_core::channel::{ChannelLimits, DeclareMode, Overflow, QueueType};

/// The channel. Nothing is limited, and the channel is made, unless it is said here.
///
/// A channel that exists is never changed: where it is of another form than what is said here, consuming it is
/// refused, with both forms and what to do about it.
impl<R> Subscription<R> {
    /// Makes what is missing of the channel, only looks whether it is there, or takes it for granted.
    #[must_use]
    pub fn declare_channel(mut self, mode: DeclareMode) -> Self {
        self.settings.channel.declare = mode;
        self
    }

    /// Keeps the channel, and those for its dead letters and invalid messages, in this way, in place of the
    /// broker's default.
    ///
    /// ```
    /// # use brighter::prelude::*;
    /// # #[derive(Serialize, Deserialize, Message)]
    /// # #[message(topic = "Task.Reminder")]
    /// # struct TaskReminder;
    /// use brighter::channel::QueueType;
    ///
    /// let subscription = Subscription::<TaskReminder>::new("task-reminders")
    ///     .queue_type(QueueType::Quorum)
    ///     .delivery_limit(20);
    /// ```
    #[must_use]
    pub fn queue_type(mut self, queue_type: QueueType) -> Self {
        self.settings.channel.queue_type = Some(queue_type);
        self
    }

    /// Puts a message that has waited this long in the dead-letter channel. Counted anew for each retry.
    #[must_use]
    pub fn time_to_live(self, time: Duration) -> Self {
        self.limit(|limits| limits.time_to_live = Some(time))
    }

    /// Lets this many messages wait at most; what happens to one more says `overflow`.
    #[must_use]
    pub fn length_limit(self, messages: u32, overflow: Overflow) -> Self {
        self.limit(|limits| {
            limits.length = Some(messages);
            limits.overflow = overflow;
        })
    }

    /// Sets how often the broker delivers one message before it moves it to the dead-letter channel by itself, without
    /// a reason: a last resort. Retries of the subscription are new messages to the broker;
    /// what a consumer gives back, as when it is stopped, counts on RabbitMQ before 4.3, up to where
    /// [`redeliveries`](Self::redeliveries) has a message handled alone, a quarter of the lower of the two limits.
    #[must_use]
    pub fn delivery_limit(self, deliveries: u32) -> Self {
        self.limit(|limits| limits.deliveries = Some(deliveries))
    }

    /// Gives the messages to one consumer at a time, whichever process it is in; the others stand by.
    #[must_use]
    pub fn single_active_consumer(self) -> Self {
        self.limit(|limits| limits.single_active_consumer = true)
    }

    /// Lets messages have priorities from 0 to this one.
    #[must_use]
    pub fn priorities(self, highest: u8) -> Self {
        self.limit(|limits| limits.priorities = Some(highest))
    }

    fn limit(mut self, change: impl FnOnce(&mut ChannelLimits)) -> Self {
        change(&mut self.settings.channel.limits);
        self
    }
}
