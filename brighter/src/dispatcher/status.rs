//! What subscriptions and their performers are doing: [`SubscriptionStatus`], [`PerformerStatus`], [`ShutdownReport`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::controls::Throttle;
use crate::subscription::Performers;
use brighter_core::id::MessageId;
use brighter_core::message::SubscriptionName;

/// The state of a subscription, its performers and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SubscriptionStatus {
    /// Its name.
    pub name: SubscriptionName,
    /// The state of the subscription as a whole.
    pub state: SubscriptionState,
    /// Each of its performers, also those that finish what they have in hand before they end; none, if it was
    /// not started.
    pub performers: Vec<PerformerStatus>,
    /// How many performers it may have.
    pub scale: Performers,
    /// How many performers it is to have now, if it runs.
    pub wanted: usize,
    /// The limits that its performers keep to.
    pub throttle: Throttle,
    /// How often one of its performers ended that should not have, since the dispatcher was made. Each was
    /// replaced.
    pub restarts: u64,
    /// Why a performer last lost its channel, could not consume it, or ended. It stays when all is well again.
    pub last_error: Option<String>,
}

/// The state of a subscription as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SubscriptionState {
    /// Not started yet, or stopped.
    Stopped,
    /// Running; each performer has a state of its own.
    Running,
    /// Running, and taking no messages until it is resumed.
    Paused,
    /// Taking no messages until it is stopped and started: it has rejected as many as it may.
    LimitReached,
}

/// How far a performer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PerformerState {
    /// Asking the broker for its channel, for the first time or because what it was told needs another consumer.
    Starting,
    /// Consuming its channel.
    Consuming,
    /// Waiting to consume again, because it could not or its channel was lost.
    Waiting,
    /// Taking no messages, while a message that may be what ends the process is handled alone: see
    /// [`Subscription::redeliveries`](crate::Subscription::redeliveries).
    Standby,
    /// Taking no messages, for its subscription is paused.
    Paused,
    /// Taking no messages, for its subscription has set aside as many as it may.
    LimitReached,
    /// Taking no more messages, and finishing what it has in hand before it ends.
    Finishing,
    /// Ended.
    Stopped,
}

/// A message that is being handled, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InFlight {
    /// The subscription that brought it.
    pub subscription: SubscriptionName,
    /// Which message.
    pub id: MessageId,
    /// For how long it has been in hand.
    pub since: Duration,
}

/// How a dispatcher ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Messages whose handling was cut short, and which were given back. None, if all was finished in time.
    pub interrupted: Vec<InFlight>,
}

/// The state of a performer and the messages that it handles. Compares equal to its [`PerformerState`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PerformerStatus {
    /// How far it is.
    pub state: PerformerState,
    /// Why it waits, if it does.
    pub last_error: Option<String>,
    /// The messages that it is handling.
    pub in_hand: Vec<InFlight>,
}

impl PartialEq<PerformerState> for PerformerStatus {
    fn eq(&self, state: &PerformerState) -> bool {
        self.state == *state
    }
}

impl SubscriptionStatus {
    /// How many of its performers consume its channel.
    #[must_use]
    pub fn consuming(&self) -> usize {
        let consumes = |performer: &&PerformerStatus| performer.state == PerformerState::Consuming;
        self.performers.iter().filter(consumes).count()
    }

    /// How many messages it is handling.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.performers
            .iter()
            .map(|performer| performer.in_hand.len())
            .sum()
    }
}
