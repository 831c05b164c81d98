//! Which messages to [`Claim`], and what was [`Claimed`].

use std::time::Duration;

use crate::id::MessageId;
use crate::message::{Message, RoutingKey};

/// Which messages to claim. What is claimed comes oldest first.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Claim<'a> {
    /// These, if they are outstanding and nobody else has them.
    Ids {
        /// Their ids.
        ids: &'a [MessageId],
        /// But none of these topics.
        except: &'a [RoutingKey],
    },
    /// The oldest that are outstanding and due, at most `limit`, if they were deposited at least `min_age`
    /// ago.
    Oldest {
        /// How many at most.
        limit: usize,
        /// How old they are at least.
        min_age: Duration,
        /// But none of these topics.
        except: &'a [RoutingKey],
    },
    /// The same of one topic.
    OfTopic {
        /// The topic.
        topic: &'a RoutingKey,
        /// How many at most.
        limit: usize,
        /// How old they are at least.
        min_age: Duration,
    },
    /// The next of one topic in the order of their deposits: the oldest that is outstanding and those that follow
    /// it, up to the first that somebody has, or that is not due, or too young. So one who claims like this at a time
    /// has what comes next of a topic, and nothing is claimed before what goes before it.
    InOrder {
        /// The topic.
        topic: &'a RoutingKey,
        /// How many at most.
        limit: usize,
        /// How old they are at least.
        min_age: Duration,
    },
}

impl<'a> Claim<'a> {
    /// These, of whatever topic.
    #[must_use]
    pub const fn ids(ids: &'a [MessageId]) -> Self {
        Self::Ids { ids, except: &[] }
    }

    /// The oldest that are due, of whatever topic, at most `limit`, and at least this old.
    #[must_use]
    pub const fn oldest(limit: usize, min_age: Duration) -> Self {
        Self::Oldest {
            limit,
            min_age,
            except: &[],
        }
    }
}

/// A message taken from the outbox, to be published by whoever claimed it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Claimed {
    /// The message.
    pub message: Message,
    /// How often publishing it has failed.
    pub attempts: u32,
}

impl Claimed {
    /// A message whose publishing has failed this often.
    #[must_use]
    pub fn new(message: Message, attempts: u32) -> Self {
        Self { message, attempts }
    }
}
