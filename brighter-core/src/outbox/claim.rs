//! [`Claim`]: selects messages to claim, and [`Claimed`]: a message that was claimed.

use std::time::Duration;

use crate::id::MessageId;
use crate::message::{Message, RoutingKey};

/// Selects messages to claim. Claimed messages are returned oldest first.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Claim<'a> {
    /// The messages with these ids, if they are outstanding and not claimed.
    Ids {
        /// The ids of the messages.
        ids: &'a [MessageId],
        /// Topics to leave out.
        except: &'a [RoutingKey],
    },
    /// The oldest outstanding messages that are due and were deposited at least `min_age` ago, at most `limit`.
    Oldest {
        /// The largest number of messages.
        limit: usize,
        /// The lowest age of a message.
        min_age: Duration,
        /// Topics to leave out.
        except: &'a [RoutingKey],
    },
    /// The oldest outstanding messages of one topic that are due and were deposited at least `min_age` ago, at most
    /// `limit`.
    OfTopic {
        /// The topic of the messages.
        topic: &'a RoutingKey,
        /// The largest number of messages.
        limit: usize,
        /// The lowest age of a message.
        min_age: Duration,
    },
    /// The next messages of one topic in the order of their deposits. They are the oldest outstanding message and those
    /// after it, up to the first that is claimed, not due, or too young. If only one publisher at a time claims this
    /// way, it gets the next messages of the topic, and no message is claimed before an earlier one.
    InOrder {
        /// The topic of the messages.
        topic: &'a RoutingKey,
        /// The largest number of messages.
        limit: usize,
        /// The lowest age of a message.
        min_age: Duration,
    },
}

impl<'a> Claim<'a> {
    /// Selects these messages, of any topic.
    #[must_use]
    pub const fn ids(ids: &'a [MessageId]) -> Self {
        Self::Ids { ids, except: &[] }
    }

    /// Selects the oldest due messages of any topic: at most `limit`, and at least `min_age` old.
    #[must_use]
    pub const fn oldest(limit: usize, min_age: Duration) -> Self {
        Self::Oldest {
            limit,
            min_age,
            except: &[],
        }
    }
}

/// A message that was claimed in the outbox, to be published by the claimant.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Claimed {
    /// The claimed message.
    pub message: Message,
    /// The number of failed attempts to publish the message.
    pub attempts: u32,
}

impl Claimed {
    /// Returns a claimed message with this number of failed attempts.
    #[must_use]
    pub fn new(message: Message, attempts: u32) -> Self {
        Self { message, attempts }
    }
}
