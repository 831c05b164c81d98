//! [`Subscription`]: the consumer's side of a topic.

mod batch;
mod budget;
#[cfg(feature = "config")]
mod configure;
mod keys;
mod limits;
mod one_of;
mod order;
mod performers;
mod rate;

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU16;
use std::time::Duration;

use brighter_core::channel::Channel;
use brighter_core::error::InvalidSetting;
use brighter_core::mapper::Postable;
use brighter_core::message::{ChannelName, RoutingKey, SubscriptionName};

pub use batch::BatchError;
pub(crate) use batch::batch_problem;
pub use budget::BudgetError;
pub(crate) use budget::{budget, remembers_too_little};
pub(crate) use keys::{Keys, LaneOf};
pub use one_of::OneOf;
pub use performers::Performers;
pub use rate::Rate;

/// The settings of a subscription, without the type of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionSettings {
    /// Its name.
    pub name: SubscriptionName,
    /// The channel that it reads.
    pub channel: Channel,
    /// How many performers read it, at least.
    pub performers: usize,
    /// How many performers read it when there is work for so many.
    pub performers_at_most: usize,
    /// How many messages each performer handles at once, within its one task.
    pub concurrency: usize,
    /// How fast all performers together begin to handle messages; `None` for as fast as they can.
    pub rate: Option<Rate>,
    /// Whether requests of one key are handled in their order: see [`Subscription::ordered_by`].
    pub ordered: bool,
    /// How long one handling of a message may take; `None` for [`DEFAULT_TIMEOUT`](Self::DEFAULT_TIMEOUT),
    /// which the check of `build()` leaves alone.
    pub timeout: Option<Duration>,
    /// How often a message is delivered at most before it goes to the dead-letter channel.
    pub attempts: u32,
    /// How long a message waits before it is delivered again: the first after the first failure, and so on;
    /// the last is used for all that follow.
    pub delays: Vec<Duration>,
    /// How often the broker may have delivered a message before without its being settled; beyond that it goes
    /// to the dead-letter channel and is not handled.
    pub redeliveries: u32,
    /// How many messages may be set aside before the subscription stops; 0 for any number.
    pub unacceptable_limit: u32,
    /// The time in which they are counted; `None` for all the time it runs.
    pub unacceptable_window: Option<Duration>,
    /// Whether the buffer was set to 0, which no channel can have: `build()` refuses it.
    zero_buffer: bool,
}

/// How often a quorum queue of RabbitMQ 4 delivers a message again before it sets it aside, unless it is told otherwise.
const BROKERS_LIMIT: u32 = 20;

impl SubscriptionSettings {
    /// How long one handling of a message may take, unless the subscription says otherwise: 5 minutes. A handler
    /// that hangs would hold its performer forever; few that do not hang take as long; and it is a sixth of the
    /// 30 minutes after which RabbitMQ takes a consumer for dead.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

    /// The defaults, which the table at [`Subscription`] explains.
    pub(crate) fn new(name: SubscriptionName, channel: Channel) -> Self {
        Self {
            name,
            channel,
            performers: 1,
            performers_at_most: 1,
            concurrency: 1,
            rate: None,
            ordered: false,
            timeout: None,
            attempts: 5,
            delays: [1, 5, 15, 60].map(Duration::from_secs).to_vec(),
            redeliveries: 20,
            unacceptable_limit: 0,
            unacceptable_window: None,
            zero_buffer: false,
        }
    }

    fn buffer(&mut self, messages: u16) {
        self.zero_buffer = messages == 0;
        self.channel.buffer = NonZeroU16::new(messages).unwrap_or(self.channel.buffer);
    }

    /// Returns the settings that have a value they cannot have.
    pub(crate) fn invalid(&self) -> Vec<InvalidSetting> {
        let performers = Performers::from(self.performers..=self.performers_at_most);
        let buffer = if self.zero_buffer {
            0
        } else {
            self.channel.buffer.get()
        };
        [
            performers.invalid(),
            invalid_concurrency(self.concurrency),
            self.rate.and_then(Rate::invalid),
            InvalidSetting::if_zero("buffer", buffer),
            InvalidSetting::if_zero("attempts", self.attempts),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// From how many redeliveries on a message is a suspect, which is handled alone: a quarter of the limit, so that its
    /// count goes on for long by what it does itself, and not by what others did to it. No later than a quarter of the
    /// limit that RabbitMQ 4 has by default.
    #[must_use]
    pub fn suspect_after(&self) -> u32 {
        let limits = [Some(self.redeliveries), self.channel.limits.deliveries];
        let limit = limits.into_iter().flatten().filter(|limit| *limit > 0).min();
        let limit = limit.unwrap_or(BROKERS_LIMIT).min(BROKERS_LIMIT);
        limit.div_ceil(4)
    }

    /// Whether a message that is suspected of ending the process must be handled alone: one that was delivered so often,
    /// and will be handled at all.
    pub(crate) fn suspects(&self, redeliveries: u32) -> bool {
        let is_over = self.redeliveries > 0 && redeliveries >= self.redeliveries;
        redeliveries >= self.suspect_after() && !is_over
    }

    /// Whether messages must not lose their places.
    pub(crate) fn keeps_order(&self) -> bool {
        self.ordered || self.channel.limits.single_active_consumer
    }

    /// Why a message is set aside that was delivered this often before.
    pub(crate) fn delivered_too_often(&self, redeliveries: u32) -> String {
        let times =
            format!("delivered {redeliveries} times before without being settled, and not handled again");
        if self.keeps_order() {
            // It may have been given back some of these times.
            return format!("{times}: what handles it may end with its process");
        }
        let after = self.suspect_after();
        format!(
            "{times}: from {after} times on it is handled alone, so what handles it ends with its process or connection"
        )
    }

    /// How long one handling of a message may take.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.timeout.unwrap_or(Self::DEFAULT_TIMEOUT)
    }

    /// How long a message waits that failed for the `attempt`th time, counted from 1.
    #[must_use]
    pub fn delay_after(&self, attempt: u32) -> Duration {
        let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        self.delays
            .get(index)
            .or(self.delays.last())
            .copied()
            .unwrap_or_default()
    }
}

/// Returns an error unless one performer can handle this many messages at once: a broker gives no more to a consumer.
pub(crate) fn invalid_concurrency(messages: usize) -> Option<InvalidSetting> {
    let is_allowed = (1..=usize::from(u16::MAX)).contains(&messages);
    InvalidSetting::unless(is_allowed, "concurrency", messages, "between 1 and 65535")
}

/// A subscription: which channel brings requests of type `R`, and how it is read.
///
/// | setting | default | why |
/// |---|---|---|
/// | channel | the subscription's name | one name for one thing |
/// | routing key | the topic of `R` | what the derive says |
/// | performers | 1 | more give up the order |
/// | concurrency | 1 | more give up the order |
/// | rate | as fast as they can | the buffer keeps what cannot be handled with the broker |
/// | buffer | 10 | busy over a network, yet shared fairly |
/// | time-out | 5 minutes | a handler that hangs must not hold a performer forever |
/// | attempts | 5 | a fault that outlasts a minute wants a person |
/// | delays | 1, 5, 15, 60 s | soon for a hiccup, later for an outage |
/// | redeliveries | 20 | far more than restarts, and an end to a message that kills its process |
/// | unacceptable limit | none | one bad sender must not stop the others |
/// | order | none | order costs speed, so only subscriptions that need it pay for it |
/// | dead letters, invalid messages | `<channel>.dlq`, `<channel>.invalid` | Brighter's names |
///
/// ```
/// # use brighter::prelude::*;
/// # #[derive(Serialize, Deserialize, Message)]
/// # #[message(topic = "Task.Reminder")]
/// # struct TaskReminder;
/// use std::time::Duration;
///
/// let subscription = Subscription::<TaskReminder>::new("task-reminders")
///     .performers(4)
///     .buffer(200)
///     .attempts(3)
///     .delays([Duration::from_secs(1), Duration::from_secs(10)]);
/// ```
pub struct Subscription<R> {
    pub(super) settings: SubscriptionSettings,
    pub(super) keys: Keys,
    request: PhantomData<fn() -> R>,
}

impl<R: Postable> Subscription<R> {
    /// A subscription of this name to the topic of `R`.
    #[must_use]
    pub fn new(name: impl Into<SubscriptionName>) -> Self {
        let name = name.into();
        let channel = Channel::new(name.as_str(), R::TOPIC);
        Self::from_settings(SubscriptionSettings::new(name, channel))
    }
}

impl<R> Subscription<R> {
    pub(super) fn from_settings(settings: SubscriptionSettings) -> Self {
        Self {
            settings,
            keys: Keys::default(),
            request: PhantomData,
        }
    }

    /// Returns the subscription for other requests.
    pub(super) fn of_others<O>(self) -> Subscription<O> {
        Subscription {
            settings: self.settings,
            keys: self.keys,
            request: PhantomData,
        }
    }

    /// Reads this channel. Also names its dead-letter and invalid-message channels anew.
    #[must_use]
    pub fn channel(mut self, name: impl Into<ChannelName>) -> Self {
        let named = Channel::new(name, "");
        let channel = &mut self.settings.channel;
        channel.name = named.name;
        channel.dead_letters = named.dead_letters;
        channel.invalid_messages = named.invalid_messages;
        self
    }

    /// Wants this topic, or pattern of topics, in place of the request's own.
    #[must_use]
    pub fn routing_key(self, key: impl Into<RoutingKey>) -> Self {
        self.routing_keys([key])
    }

    /// Wants these topics, or patterns of topics, in place of the request's own.
    #[must_use]
    pub fn routing_keys<K: Into<RoutingKey>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.settings.channel.routing_keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the number of performers: tasks that each read the channel and handle messages. Of a range, as in
    /// `performers(2..=8)`, the subscription starts with the least, adds performers while more messages wait than they
    /// can clear, and ends performers that were idle for a minute. It reads the depth of the channel every five
    /// seconds; on a broker that does not tell the depth, the least stay.
    #[must_use]
    pub fn performers(mut self, performers: impl Into<Performers>) -> Self {
        let performers = performers.into();
        self.settings.performers = performers.least();
        self.settings.performers_at_most = performers.most();
        self
    }

    /// Lets each performer handle this many messages at once, from 1 to 65535, within its one task: cheaper
    /// than more performers for handlers that wait, no help for handlers that compute. Can be changed while the
    /// subscription runs.
    #[must_use]
    pub fn concurrency(mut self, messages: usize) -> Self {
        self.settings.concurrency = messages;
        self
    }

    /// Begins to handle messages at most this fast, over all performers of this process. Can be changed while
    /// the subscription runs.
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.settings.rate = Some(rate);
        self
    }

    /// Lets each performer have this many messages at once: those that it handles, and others that wait in its memory.
    ///
    /// A busy performer hands what waits to another one of this process that has nothing to do, unless the subscription
    /// keeps order. Another process does not get it before it is given back, so where a handler takes seconds, a small
    /// number spreads the work better.
    #[must_use]
    pub fn buffer(mut self, messages: u16) -> Self {
        self.settings.buffer(messages);
        self
    }

    /// Gives one handling of a message this long (5 minutes unless said here), from its body to the last of its
    /// handlers; then it is cut short, which counts as a failure. `#[timeout]` on a handler is for that handler,
    /// and within this.
    ///
    /// `build()` compares it with the time to drain and with what the broker asks of consumers.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.settings.timeout = Some(time);
        self
    }

    /// Puts a message in the dead-letter channel, unhandled, once it was delivered this often before (0 for no limit)
    /// without being settled: what handles it ends with its process or its connection.
    ///
    /// A process that ends leaves more than the message that ended it: whatever its consumers had taken ahead was
    /// delivered and not settled, too. So a message that was delivered a quarter as often, 5 times by default, is a
    /// suspect, and is handled alone: its performer gives back all else and takes one message at a time, the other
    /// performers of the subscription take none, and of all subscriptions of the dispatcher one at a time does so. From
    /// then on the count of the message that ends its process grows, and that of the others does not.
    ///
    /// What is given back by a consumer that is stopped or paused counts up to there on RabbitMQ before 4.3, and no
    /// further. For classic queues, which do not count, brighter counts: what such a queue delivers again is replaced by
    /// a copy that says how often, at the end of the queue. With [`single_active_consumer`](Self::single_active_consumer)
    /// or [`ordered_by`](Self::ordered_by) no copies are made on RabbitMQ, as a copy would lose its place: there classic
    /// queues do not count at all, and what is given back to a quorum queue before 4.3 counts always.
    #[must_use]
    pub fn redeliveries(mut self, times: u32) -> Self {
        self.settings.redeliveries = times;
        self
    }

    /// Stops the subscription once so many messages were set aside (0 for never), to the dead-letter channel or
    /// as invalid: something is wrong that a person must look at, and more messages would follow these. Its
    /// status says so; starting it again begins a new count.
    #[must_use]
    pub fn unacceptable_limit(mut self, messages: u32) -> Self {
        self.settings.unacceptable_limit = messages;
        self
    }

    /// Counts them anew once this time has passed since the first.
    #[must_use]
    pub fn unacceptable_window(mut self, time: Duration) -> Self {
        self.settings.unacceptable_window = Some(time);
        self
    }

    /// Delivers a message at most this often, then puts it in the dead-letter channel.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.settings.attempts = attempts;
        self
    }

    /// Waits this long before each further delivery; the last is used for all that follow.
    #[must_use]
    pub fn delays(mut self, delays: impl IntoIterator<Item = Duration>) -> Self {
        self.settings.delays = delays.into_iter().collect();
        self
    }

    /// Puts what could not be handled there.
    #[must_use]
    pub fn dead_letters(mut self, channel: impl Into<ChannelName>) -> Self {
        self.settings.channel.dead_letters = channel.into();
        self
    }

    /// Puts what could not be understood there.
    #[must_use]
    pub fn invalid_messages(mut self, channel: impl Into<ChannelName>) -> Self {
        self.settings.channel.invalid_messages = channel.into();
        self
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &SubscriptionSettings {
        &self.settings
    }

    pub(crate) fn into_parts(self) -> (SubscriptionSettings, Keys) {
        (self.settings, self.keys)
    }
}

impl<R> fmt::Debug for Subscription<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("request", &std::any::type_name::<R>())
            .field("settings", &self.settings)
            .finish()
    }
}
