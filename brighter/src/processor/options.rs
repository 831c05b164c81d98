//! What is said of a post besides its request: when, where, how urgent, and what caused it.

use std::time::{Duration, SystemTime};

use super::PostError;
use brighter_core::__private::clock::NEVER;
use brighter_core::context::Context;
use brighter_core::message::{Bag, MessageHeader, RoutingKey};

/// The options of one post or deposit.
#[derive(Debug, Default)]
pub(super) struct PostOptions<'a> {
    /// The handling in which it is posted.
    pub(super) cx: Option<&'a Context>,
    pub(super) time: Option<PostTime>,
    has_several_times: bool,
    pub(super) topic: Option<RoutingKey>,
    pub(super) headers: Bag,
    pub(super) priority: Option<u8>,
}

/// When something is posted.
#[derive(Debug, Clone, Copy)]
pub(super) enum PostTime {
    After(Duration),
    At(SystemTime),
}

impl<'a> PostOptions<'a> {
    /// Returns options that say only what caused the post.
    pub(super) fn caused_by(cx: Option<&'a Context>) -> Self {
        Self {
            cx,
            ..Self::default()
        }
    }

    pub(super) fn set_time(&mut self, time: PostTime) {
        self.has_several_times = self.time.replace(time).is_some();
    }

    /// Returns how long the outbox keeps the message before it is due; `None`, if it is due at once.
    pub(super) fn delay(&self) -> Result<Option<Duration>, PostError> {
        if self.has_several_times {
            return Err(PostError::SeveralTimes);
        }
        self.time.map(PostTime::delay).transpose()
    }

    /// Writes what is said here over what the publication says. The type of event stays the request's own.
    pub(super) fn apply(&self, header: &mut MessageHeader, event_type: &str) {
        if let Some(topic) = &self.topic {
            header.event.event_type.get_or_insert_with(|| event_type.into());
            header.topic = topic.clone();
        }
        for (name, value) in self.headers.iter() {
            header.bag.insert(name, value.clone());
        }
        if self.priority.is_some() {
            header.priority = self.priority;
        }
    }
}

impl PostTime {
    /// Returns how long it is until then.
    pub(super) fn delay(self) -> Result<Duration, PostError> {
        let delay = match self {
            Self::After(delay) => delay,
            Self::At(at) => match at.duration_since(SystemTime::now()) {
                Ok(delay) if !delay.is_zero() => delay,
                _ => return Err(PostError::NotInFuture { at }),
            },
        };
        // Further ahead no outbox can tell the time.
        if delay > NEVER {
            return Err(PostError::TooFar { delay });
        }
        Ok(delay)
    }
}

/// Writes the options as methods of a value that has `options: PostOptions<'a>`.
macro_rules! option_methods {
    () => {
        /// Sends it when this much time has passed, within the [interval](crate::Sweeper::interval) of the sweeper.
        /// Until then the outbox keeps it, over restarts too. With no time at all the sweeper sends it at once.
        ///
        /// More than a hundred years, or a second time beside this one, is an error when this is awaited.
        pub fn after(mut self, delay: std::time::Duration) -> Self {
            self.options
                .set_time($crate::processor::options::PostTime::After(delay));
            self
        }

        /// Sends it at this time, within the [interval](crate::Sweeper::interval) of the sweeper, by the clock of the
        /// outbox, and never before.
        ///
        /// A time that is not in the future, or a second time beside this one, is an error when this is awaited.
        pub fn at(mut self, time: std::time::SystemTime) -> Self {
            self.options
                .set_time($crate::processor::options::PostTime::At(time));
            self
        }

        /// Publishes it to this topic, in place of the one that its publication says.
        pub fn topic(mut self, topic: impl Into<brighter_core::message::RoutingKey>) -> Self {
            self.options.topic = Some(topic.into());
            self
        }

        /// Gives it this header, in its bag, in place of a default of its publication.
        pub fn header(
            mut self,
            name: impl Into<String>,
            value: impl Into<brighter_core::message::BagValue>,
        ) -> Self {
            self.options.headers.insert(name, value);
            self
        }

        /// Gives it this priority: where a channel has priorities, a message with a higher one comes first.
        ///
        /// A priority that the broker cannot carry is an error when this is awaited. A channel in memory or in a file
        /// refuses a message whose priority is above its highest; RabbitMQ takes it for the highest.
        pub fn priority(mut self, priority: u8) -> Self {
            self.options.priority = Some(priority);
            self
        }

        /// Gives it this partition key, as the header
        /// [`PARTITION_KEY`](crate::message::PARTITION_KEY): a broker that spreads a topic over partitions keeps
        /// messages with one key together.
        pub fn partition_key(mut self, key: impl Into<String>) -> Self {
            let key: String = key.into();
            self.options
                .headers
                .insert(brighter_core::message::PARTITION_KEY, key);
            self
        }

        /// Notes the request that is being handled as its cause: the message has its
        /// [causation id](crate::message::MessageHeader::causation_id), its
        /// [correlation id](crate::message::MessageHeader::correlation_id) and its [trace](crate::Context::trace). In
        /// a handler, [`ContextExt`](crate::ContextExt) says this by itself.
        ///
        /// What has a cause is sent again when `#[use_inbox(on_duplicate = replay)]` replays that.
        pub fn caused_by(mut self, cx: &'a crate::Context) -> Self {
            self.options.cx = Some(cx);
            self
        }
    };
}

pub(super) use option_methods;
