//! What may go wrong between this process and the broker.

use std::time::Duration;

use crate::error::BoxError;
use crate::message::{ChannelName, NameError, RoutingKey};

/// Why a message was not published, or may not have been.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// No channel wants the topic: the broker gave the message back.
    #[error(
        "no channel is bound to `{topic}`: start the consumer once, so that its channel exists, or correct the topic"
    )]
    Unroutable {
        /// The topic of the message.
        topic: RoutingKey,
    },
    /// The broker said no, for instance because a channel is full.
    #[error("the broker refused the message: {reason}")]
    Refused {
        /// What the broker said.
        reason: String,
    },
    /// A channel that wants the topic is full, and refuses the message. Every other channel that wants it has its copy;
    /// publishing it again gives those another one, with the same id.
    #[error(
        "channel `{channel}` is full, with {waiting} messages that wait: consume it, or remove it if nobody is to \
         consume it ({others} other channels took the message)"
    )]
    ChannelFull {
        /// The channel, the first of several.
        channel: ChannelName,
        /// How many messages wait in it.
        waiting: u64,
        /// How many other channels took the message.
        others: usize,
    },
    /// The message has a name that no broker takes.
    #[error("the message cannot be published")]
    Name(#[from] NameError),
    /// The message is larger than the broker takes.
    #[error("the message has {bytes} bytes and the broker takes {limit} at most")]
    TooLarge {
        /// The size of the message.
        bytes: usize,
        /// The limit of the broker.
        limit: usize,
    },
    /// The broker did not confirm the message in time. It may have it.
    #[error("the broker has not confirmed the message within {after:?}")]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The broker holds publishers back, for it is short of memory or disk, and did so until the time was up.
    /// It does not have the message.
    #[error("the broker takes no messages for now ({reason}), and did not within {after:?}")]
    Blocked {
        /// What the broker said.
        reason: String,
        /// How long was waited.
        after: Duration,
    },
    /// There is no connection, or it was lost before the broker confirmed the message. It may have it.
    #[error("no connection to the broker")]
    Disconnected(#[source] BoxError),
    /// The broker was closed by this process.
    #[error("the broker is closed")]
    Closed,
    /// Something else.
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
             `Channel::existing(\"{name}\")` or `make_channel(MakeChannel::Assume)`"
        ),
        Some(of) => format!(
            "channel `{name}` has dead letters of its own, and `{of}` cannot set messages aside in it: name another \
             by `dead_letters(…)` or `invalid_messages(…)`"
        ),
    };
    ChannelError::Refused { reason }
}

impl PublishError {
    /// What went wrong, as one of few words, by which failures are counted.
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
            Self::Other(_) => "_OTHER",
        }
    }

    /// Whether it is the broker that cannot be reached, rather than this message that cannot be published:
    /// whoever has more messages to publish may as well wait.
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
    /// There is no connection. Consuming again, after a while, may work.
    #[error("no connection to the broker")]
    Disconnected(#[source] BoxError),
    /// The channel was lost: its queue was deleted, or the broker cancelled the consumer. Consuming again may
    /// work.
    #[error("the channel was lost: {reason}")]
    Lost {
        /// What the broker said.
        reason: String,
    },
    /// The channel cannot be had: it exists in another form, or access is refused. Trying again is no use
    /// until a person has changed something.
    #[error("the channel cannot be consumed: {reason}")]
    Refused {
        /// What the broker said, and what to do.
        reason: String,
    },
    /// The broker is there, and does not serve the channel: it does not answer, or says that the queue is down.
    /// Consuming again, after a while, may work.
    #[error("the channel is unavailable: {reason}")]
    Unavailable {
        /// Which server, which queue, and what it said or did not answer.
        reason: String,
    },
    /// The broker did not answer in time. Consuming again may work.
    #[error("the broker has not given the channel within {after:?}")]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The channel has a name that no broker takes.
    #[error("the channel cannot be consumed")]
    Name(#[from] NameError),
    /// The broker cannot do this at all.
    #[error("the broker does not support {0}; use a broker that does")]
    Unsupported(&'static str),
    /// The broker was closed by this process.
    #[error("the broker is closed")]
    Closed,
}

/// Why a delivery could not be settled. The message is not lost: the broker still has it, and will deliver it
/// again.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The connection that brought the delivery is gone, so the broker has already taken the message back.
    #[error("the connection that brought the message is gone; the broker will deliver it again")]
    Stale,
    /// The copy for the retry or the dead-letter channel was not taken by the broker, so the original was
    /// given back.
    #[error("the copy was not published, so the message was given back")]
    NotMoved(#[from] PublishError),
    /// The message was to come again after a delay for which no broker keeps it. It was given back.
    #[error("no broker keeps a message for {delay:?}, and {longest:?} at most; the message was given back")]
    TooFar {
        /// The delay.
        delay: Duration,
        /// The longest that a message can wait.
        longest: Duration,
    },
    /// The broker cannot do this at all. The message was given back.
    #[error("the broker does not support {0}; the message was given back")]
    Unsupported(&'static str),
    /// Something else.
    #[error("the message was not settled; the broker will deliver it again")]
    Other(#[source] BoxError),
}

crate::__readable_debug!(PublishError, ChannelError, SettleError);
