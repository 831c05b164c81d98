//! Errors between this process and the broker.

use std::time::Duration;

use crate::error::BoxError;
use crate::message::{ChannelName, NameError, RoutingKey};

/// Why a message was not published, or may not have been.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// No channel is bound to the topic: the broker returned the message.
    #[error(
        "no channel is bound to `{topic}`: start the consumer once, so that its channel exists, or correct the topic"
    )]
    Unroutable {
        /// The topic of the message.
        topic: RoutingKey,
    },
    /// The broker refused the message, for instance because a channel is full.
    #[error("the broker refused the message: {reason}")]
    Refused {
        /// The reason that the broker gave.
        reason: String,
    },
    /// A bound channel is full and refused the message. Every other bound channel has its copy, and gets another with
    /// the same id if the message is published again.
    #[error(
        "channel `{channel}` is full, with {waiting} messages that wait: consume it, or remove it if it is not \
         needed ({others} other channels took the message)"
    )]
    ChannelFull {
        /// The full channel, or the first one if there are several.
        channel: ChannelName,
        /// The number of messages that wait in the channel.
        waiting: u64,
        /// The number of other channels that took the message.
        others: usize,
    },
    /// The message has an invalid name.
    #[error("the message cannot be published")]
    Name(#[from] NameError),
    /// The message is larger than the broker allows.
    #[error("the message has {bytes} bytes; the broker's limit is {limit}")]
    TooLarge {
        /// The size of the message.
        bytes: usize,
        /// The limit of the broker.
        limit: usize,
    },
    /// The broker did not confirm the message in time. The broker may have the message.
    #[error("the broker has not confirmed the message within {after:?}")]
    TimedOut {
        /// The time that was waited.
        after: Duration,
    },
    /// The broker blocks publishing because it is short of memory or disk, and did so until the timeout. The broker
    /// does not have the message.
    #[error("broker blocked publishing for {after:?}: {reason}")]
    Blocked {
        /// The reason that the broker gave.
        reason: String,
        /// The time that was waited.
        after: Duration,
    },
    /// There is no connection, or it was lost before the broker confirmed the message. The broker may have the message.
    #[error("no connection to the broker")]
    Disconnected(#[source] BoxError),
    /// This process closed the broker.
    #[error("the broker is closed")]
    Closed,
    /// The broker does not support this operation.
    #[error("the broker does not support {0}; use a broker that does")]
    Unsupported(&'static str),
    /// Any other failure.
    #[error("the message was not published")]
    Other(#[source] BoxError),
}

/// Two kinds of channel that no broker has in one: what RabbitMQ says by the arguments of a queue. Not for people: the
/// transports that could have it otherwise say it in the same words.
#[doc(hidden)]
pub fn declared_otherwise(name: &ChannelName, aside_of: Option<&ChannelName>) -> ChannelError {
    let reason = match aside_of {
        None => format!(
            "channel `{name}` is where other channels set messages aside: open it as it is, by \
             `Channel::existing(\"{name}\")` or `declare_channel(DeclareMode::Assume)`"
        ),
        Some(of) => format!(
            "channel `{name}` has dead letters of its own, and `{of}` cannot set messages aside in it: name another \
             by `dead_letters(…)` or `invalid_messages(…)`"
        ),
    };
    ChannelError::Refused { reason }
}

impl PublishError {
    /// Returns the failure as one of a few words, by which failures are counted.
    #[doc(hidden)]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unroutable { .. } => "unroutable",
            Self::Refused { .. } => "refused",
            Self::ChannelFull { .. } => "channel_full",
            Self::Name(_) => "name",
            Self::TooLarge { .. } => "too_large",
            Self::TimedOut { .. } => "timed_out",
            Self::Blocked { .. } => "blocked",
            Self::Disconnected(_) => "disconnected",
            Self::Closed => "closed",
            Self::Unsupported(_) => "unsupported",
            Self::Other(_) => "_OTHER",
        }
    }

    /// Returns whether the broker is unavailable, rather than this message unacceptable. A caller with more messages to
    /// publish should wait.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. } | Self::Blocked { .. } | Self::Disconnected(_) | Self::Closed
        )
    }
}

/// Why a channel cannot be consumed, or no longer.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// There is no connection. Consuming again later may succeed.
    #[error("no connection to the broker")]
    Disconnected(#[source] BoxError),
    /// The channel was lost: its queue was deleted, or the broker cancelled the consumer. Consuming again may succeed.
    #[error("the channel was lost: {reason}")]
    Lost {
        /// The reason that the broker gave.
        reason: String,
    },
    /// The broker refuses the channel: it exists with other settings, or access is denied. Another attempt fails until
    /// a person changes something.
    #[error("the channel cannot be consumed: {reason}")]
    Refused {
        /// The reason that the broker gave, and what to do.
        reason: String,
    },
    /// The broker can be reached but does not serve the channel: it does not answer, or the queue is down. Consuming
    /// again later may succeed.
    #[error("the channel is unavailable: {reason}")]
    Unavailable {
        /// The server, the queue, and the failure.
        reason: String,
    },
    /// The broker did not answer in time. Consuming again may succeed.
    #[error("the broker has not given the channel within {after:?}")]
    TimedOut {
        /// The time that was waited.
        after: Duration,
    },
    /// The channel has an invalid name.
    #[error("the channel cannot be consumed")]
    Name(#[from] NameError),
    /// The broker does not support this operation.
    #[error("the broker does not support {0}; use a broker that does")]
    Unsupported(&'static str),
    /// This process closed the broker.
    #[error("the broker is closed")]
    Closed,
}

/// Why a delivery could not be settled. The message is not lost: the broker still has it, and delivers it again.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The connection that brought the delivery is gone, so the broker has already taken the message back.
    #[error("the connection that brought the message is gone; the broker will deliver it again")]
    Stale,
    /// The broker did not take the copy for the retry or the dead-letter channel, so the original returned to its
    /// channel.
    #[error("the copy was not published; the message was returned to its channel")]
    NotMoved(#[from] PublishError),
    /// The delay is longer than a broker can keep a message. The message returned to its channel.
    #[error(
        "the delay of {delay:?} is longer than the maximum of {longest:?}; the message was returned to its channel"
    )]
    TooFar {
        /// The requested delay.
        delay: Duration,
        /// The longest delay that is possible.
        longest: Duration,
    },
    /// The broker does not support this operation. The message returned to its channel.
    #[error("the broker does not support {0}; the message was returned to its channel")]
    Unsupported(&'static str),
    /// Any other failure.
    #[error("the message was not settled; the broker will deliver it again")]
    Other(#[source] BoxError),
}

crate::__readable_debug!(PublishError, ChannelError, SettleError);
