//! What performers are doing, for whoever looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::id::MessageId;
use crate::message::SubscriptionName;

/// What a performer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PerformerState {
    /// Asking the broker for its channel for the first time.
    Starting,
    /// Consuming its channel.
    Consuming,
    /// Waiting to consume again, because it could not or its channel was lost.
    Waiting,
    /// Taking no messages, for its subscription is paused.
    Paused,
    /// Ended.
    Stopped,
}

/// What a subscription is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionStatus {
    /// Its name.
    pub name: SubscriptionName,
    /// The state of each of its performers; none, if it was not started.
    pub performers: Vec<PerformerState>,
}

/// A message that was being handled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight {
    /// The subscription that brought it.
    pub subscription: SubscriptionName,
    /// Which message.
    pub id: MessageId,
    /// For how long it was being handled.
    pub since: Duration,
}

/// How a dispatcher ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EndReport {
    /// Messages whose handling was cut short, and which were given back. None, if all was finished in time.
    pub interrupted: Vec<InFlight>,
}

/// Where every performer says what it is doing.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    performers: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    subscription: SubscriptionName,
    state: PerformerState,
    in_hand: Option<(MessageId, Instant)>,
}

impl Board {
    /// A place for a new performer.
    pub(super) fn join(self: &Arc<Self>, subscription: &SubscriptionName) -> Place {
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        let entry = Entry {
            subscription: subscription.clone(),
            state: PerformerState::Starting,
            in_hand: None,
        };
        state.performers.insert(number, entry);
        Place {
            board: Arc::clone(self),
            number,
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(super) fn all_consuming(&self) -> bool {
        self.lock()
            .performers
            .values()
            .all(|entry| entry.state == PerformerState::Consuming)
    }

    pub(super) fn status(&self, name: &SubscriptionName) -> SubscriptionStatus {
        let state = self.lock();
        let entries = state
            .performers
            .values()
            .filter(|entry| entry.subscription == *name);
        SubscriptionStatus {
            name: name.clone(),
            performers: entries.map(|entry| entry.state).collect(),
        }
    }

    /// What these performers have in hand.
    pub(super) fn in_flight(&self, numbers: &[u64]) -> Vec<InFlight> {
        let state = self.lock();
        let in_flight = |entry: &Entry| {
            let (id, since) = entry.in_hand.as_ref()?;
            Some(InFlight {
                subscription: entry.subscription.clone(),
                id: id.clone(),
                since: since.elapsed(),
            })
        };
        numbers
            .iter()
            .filter_map(|number| in_flight(state.performers.get(number)?))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A performer's own place on the board. It leaves the board with its performer.
#[derive(Debug)]
pub(super) struct Place {
    board: Arc<Board>,
    number: u64,
}

impl Place {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Says what the performer does now; gives whether it is the first of its subscription to do so, which is
    /// when it is worth a line in the log.
    pub(super) fn change(&self, new: PerformerState) -> bool {
        let mut state = self.board.lock();
        let Some(entry) = state.performers.get_mut(&self.number) else {
            return false;
        };
        if std::mem::replace(&mut entry.state, new) == new {
            return false;
        }
        let subscription = entry.subscription.clone();
        let alike = |entry: &&Entry| entry.subscription == subscription && entry.state == new;
        let first = state.performers.values().filter(alike).count() == 1;
        drop(state);
        self.board.changes.send_replace(());
        first
    }

    /// Says which message is being handled, until what is given back is dropped.
    pub(super) fn takes(&self, id: MessageId) -> InHand<'_> {
        self.hold(Some((id, Instant::now())));
        InHand(self)
    }

    fn hold(&self, message: Option<(MessageId, Instant)>) {
        if let Some(entry) = self.board.lock().performers.get_mut(&self.number) {
            entry.in_hand = message;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.board.lock().performers.remove(&self.number);
        self.board.changes.send_replace(());
    }
}

/// A message is being handled.
pub(super) struct InHand<'a>(&'a Place);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.hold(None);
    }
}
