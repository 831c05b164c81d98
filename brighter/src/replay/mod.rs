//! [`Replay`]: dead letters go back to the channel that they came from.

mod round;
#[cfg(test)]
mod tests;

use std::num::NonZeroU16;

use brighter_core::channel::{Channel, ChannelError, Rejected, SettleError};
use brighter_core::message::{ChannelName, Message, NameError};

/// Sends dead letters back to the channel that they came from, and to nobody else, to be handled anew: without the
/// note of why they were set aside, and with all of their attempts.
///
/// A replay has a name, and every message that it sends back carries it, under [`REPLAYED_BY`](Self::REPLAYED_BY). So
/// it can be run again, by the same name, after its process has died or the broker went away: what it has sent back it
/// does not send again, although it may have come back as a dead letter meanwhile. Each message is confirmed in its
/// channel before it leaves the dead letters: when the process dies just then, one may come to its channel twice, with
/// the same id.
///
/// What is not chosen stays with the dead letters. Of more than a thousand that stay the first go to their end. What
/// another consumer of the dead letters has in hand is not seen.
///
/// ```
/// use brighter::channel::{Broker, Channel, Producer, Rejection, RejectionKind, Replay};
/// use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
/// use brighter::{InMemoryBroker, MessageId};
///
/// # brighter::testing::run(async {
/// # let broker = InMemoryBroker::new();
/// let channel = Channel::new("reminders", "Task.Reminder");
/// let mut reminders = broker.consume(&channel).await?;
/// # let header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command);
/// # broker.publish(&Message::new(header, MessageBody::new("{}"))).await?;
/// if let Some(delivery) = reminders.receive().await {
///     delivery?.reject(Rejection::new(RejectionKind::DeadLetter, "the mail server is away")).await?;
/// }
///
/// // The mail server is back.
/// let replayed = Replay::new("mail is back 2026-11-24", &channel)
///     .run(&broker, |letter| {
///         let rejected = letter.rejected.as_ref();
///         rejected.is_some_and(|rejected| rejected.rejection.reason.contains("mail server"))
///     })
///     .await?;
/// assert_eq!((replayed.replayed, replayed.left), (1, 0));
/// # Ok::<(), brighter::BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Replay {
    name: String,
    channel: Channel,
    from: ChannelName,
}

/// A message among the dead letters, to be chosen or not.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadLetter<'a> {
    /// The dead letter, as it came.
    pub message: &'a Message,
    /// Why it was set aside; `None` of what the broker has set aside by itself.
    pub rejected: Option<Rejected>,
}

/// The result of a replay: how many dead letters were sent back, left or not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Replayed {
    /// How many were sent back.
    pub replayed: u64,
    /// How many were not chosen.
    pub left: u64,
    /// How many this replay had sent back before and have come again: they stay.
    pub came_back: u64,
    /// How many have headers that cannot be read as a message: they stay.
    pub unreadable: u64,
    /// How many wait still that were not seen, for too many are unreadable.
    pub unseen: u64,
}

/// Why a replay has ended before its end. Run again by the same name, it goes on.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The replay has a name that no header can hold.
    #[error("invalid replay name")]
    Name(#[from] NameError),
    /// The dead letters cannot be had.
    #[error("the dead letters could not be read, after {} were sent back: run the replay again with the same name", .done.replayed)]
    Channel {
        /// The result until then.
        done: Replayed,
        /// Why.
        source: ChannelError,
    },
    /// One of them could not be moved.
    #[error("a dead letter could not be moved, after {} were sent back: run the replay again with the same name", .done.replayed)]
    NotMoved {
        /// The result for the others until then.
        done: Replayed,
        /// Why.
        source: SettleError,
    },
}

brighter_core::__private::readable_debug!(ReplayError);

/// How many that stay are kept in hand, unsettled; more go to the end of the dead letters.
const HELD: usize = 1_000;
/// How many are moved at once.
const TOGETHER: usize = 100;
/// The buffer, for the messages in hand and those on their way.
const BUFFER: NonZeroU16 = match NonZeroU16::new((HELD + 2 * TOGETHER) as u16) {
    Some(buffer) => buffer,
    None => NonZeroU16::MIN,
};

impl Replay {
    /// The header that says by which replay a message was sent back.
    pub const REPLAYED_BY: &str = "replayedBy";
    /// The header of a dead letter that went to the end of the others: the replay that left it, and which run of it.
    pub const LEFT_BY: &str = "leftByReplay";

    /// A replay of this name, of the dead letters of this channel. Choose a name that no other had: a time and a reason
    /// will do.
    #[must_use]
    pub fn new(name: impl Into<String>, channel: &Channel) -> Self {
        Self {
            name: name.into(),
            from: channel.dead_letters.clone(),
            channel: channel.clone(),
        }
    }

    /// Of its invalid messages instead: when the program that could not read them was mended.
    #[must_use]
    pub fn of_invalid_messages(mut self) -> Self {
        self.from = self.channel.invalid_messages.clone();
        self
    }

    /// The dead letters, as a channel that is there.
    fn dead_letters(&self) -> Channel {
        let mut channel = Channel::existing(self.from.clone());
        channel.buffer = BUFFER;
        channel
    }
}
