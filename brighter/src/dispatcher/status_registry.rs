//! [`StatusRegistry`]: where every performer reports what it is doing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::in_flight_table::InFlightTable;
use super::status::{InFlight, PerformerState, PerformerStatus};
use super::watchdog::Watchdog;
use brighter_core::message::SubscriptionName;

/// Where every performer says what it is doing.
#[derive(Debug)]
pub(super) struct StatusRegistry {
    state: Mutex<State>,
    watchdog: Watchdog,
    changes: watch::Sender<()>,
}

impl Default for StatusRegistry {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            watchdog: Watchdog::default(),
            changes: watch::Sender::new(()),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    performers: BTreeMap<u64, StatusEntry>,
    /// The records that outlive the performers of a subscription.
    records: BTreeMap<SubscriptionName, Record>,
}

#[derive(Debug)]
struct StatusEntry {
    subscription: SubscriptionName,
    /// The start of the subscription that it belongs to.
    run: u64,
    state: PerformerState,
    /// Since when it is in this state.
    since: Instant,
    last_error: Option<String>,
    table: Arc<InFlightTable>,
}

/// The record of a subscription when its performers are gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) restarts: u64,
    pub(super) last_error: Option<String>,
}

/// How many performers of one start of a subscription there are, and how many of them consume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) consuming: usize,
    pub(super) busy: usize,
    /// How many messages they have received.
    pub(super) received: u64,
}

impl StatusRegistry {
    /// A number for another start of a subscription.
    pub(super) fn next_run(&self) -> u64 {
        self.lock().next()
    }

    /// A place for a new performer of this start of a subscription.
    pub(super) fn join(self: &Arc<Self>, subscription: &SubscriptionName, run: u64) -> StatusReporter {
        let table = self.watchdog.watch(subscription);
        let mut state = self.lock();
        let number = state.next();
        let entry = StatusEntry {
            subscription: subscription.clone(),
            run,
            state: PerformerState::Starting,
            since: Instant::now(),
            last_error: None,
            table: Arc::clone(&table),
        };
        state.performers.insert(number, entry);
        drop(state);
        self.changed();
        StatusReporter {
            statuses: Arc::clone(self),
            number,
            table,
        }
    }

    /// Tells who waits for a change that there is one.
    pub(super) fn changed(&self) {
        self.changes.send_replace(());
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// How many performers every start of a subscription has, in one pass over all of them.
    pub(super) fn counts(&self) -> BTreeMap<u64, Count> {
        let mut counts = BTreeMap::<u64, Count>::new();
        for entry in self.lock().performers.values() {
            let count = counts.entry(entry.run).or_default();
            count.consuming += usize::from(entry.state == PerformerState::Consuming);
            count.busy += usize::from(!entry.table.is_empty());
            count.received = count.received.wrapping_add(entry.table.received());
        }
        counts
    }

    /// How many performers of each subscription consume. None, where one began or changed its state within `rest`.
    pub(super) fn consuming_at_rest(&self, rest: Duration) -> BTreeMap<SubscriptionName, Option<u64>> {
        let mut consuming = BTreeMap::<SubscriptionName, Option<u64>>::new();
        for entry in self.lock().performers.values() {
            let count = consuming.entry(entry.subscription.clone()).or_insert(Some(0));
            let more = u64::from(entry.state == PerformerState::Consuming);
            *count = count
                .filter(|_| entry.since.elapsed() >= rest)
                .map(|count| count + more);
        }
        consuming
    }

    /// Returns the status of every performer, by subscription, in one pass over all of them.
    pub(super) fn performers(&self) -> BTreeMap<SubscriptionName, Vec<PerformerStatus>> {
        let mut performers = BTreeMap::<SubscriptionName, Vec<PerformerStatus>>::new();
        for entry in self.lock().performers.values() {
            let status = PerformerStatus {
                state: entry.state,
                last_error: entry.last_error.clone(),
                in_hand: entry.in_flight().collect(),
            };
            performers
                .entry(entry.subscription.clone())
                .or_default()
                .push(status);
        }
        performers
    }

    /// Returns the record of a subscription, which outlives its performers.
    pub(super) fn record(&self, subscription: &SubscriptionName) -> Record {
        self.lock().records.get(subscription).cloned().unwrap_or_default()
    }

    /// Forgets a subscription that is no more.
    pub(super) fn forget(&self, subscription: &SubscriptionName) {
        self.lock().records.remove(subscription);
    }

    /// Notes that a performer ended that should not have, and why.
    pub(super) fn restarted(&self, subscription: &SubscriptionName, error: String) {
        let mut state = self.lock();
        let record = state.records.entry(subscription.clone()).or_default();
        record.restarts = record.restarts.saturating_add(1);
        record.last_error = Some(error);
        drop(state);
        self.changed();
    }

    /// Returns the messages that the performers of these starts have in hand.
    pub(super) fn in_flight(&self, runs: &[u64]) -> Vec<InFlight> {
        let state = self.lock();
        let theirs = state
            .performers
            .values()
            .filter(|entry| runs.contains(&entry.run));
        theirs.flat_map(StatusEntry::in_flight).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl StatusEntry {
    fn in_flight(&self) -> impl Iterator<Item = InFlight> {
        self.table.entries().into_iter().map(|held| InFlight {
            subscription: self.subscription.clone(),
            id: held.id,
            since: held.since.elapsed(),
        })
    }
}

/// Reports what one performer is doing. Its entry leaves the registry when this is dropped.
#[derive(Debug)]
pub(super) struct StatusReporter {
    statuses: Arc<StatusRegistry>,
    number: u64,
    table: Arc<InFlightTable>,
}

impl StatusReporter {
    /// Sets the state of the performer. Returns whether it is the first of its subscription to have it, which is
    /// when it is worth a line in the log.
    pub(super) fn change(&self, new: PerformerState) -> bool {
        let mut state = self.statuses.lock();
        let Some(entry) = state.performers.get_mut(&self.number) else {
            return false;
        };
        if std::mem::replace(&mut entry.state, new) == new {
            return false;
        }
        entry.since = Instant::now();
        if new == PerformerState::Consuming {
            entry.last_error = None;
        }
        let subscription = entry.subscription.clone();
        let alike = |entry: &&StatusEntry| entry.subscription == subscription && entry.state == new;
        let first = state.performers.values().filter(alike).count() == 1;
        drop(state);
        self.statuses.changed();
        first
    }

    /// Sets that the performer is about to ask for a consumer, unless it waits already because that failed.
    pub(super) fn starting(&self) {
        let waits = {
            let state = self.statuses.lock();
            let entry = state.performers.get(&self.number);
            entry.is_some_and(|entry| entry.state == PerformerState::Waiting)
        };
        if !waits {
            self.change(PerformerState::Starting);
        }
    }

    /// Sets why the performer does not consume its channel.
    pub(super) fn failed(&self, error: &str) {
        let mut state = self.statuses.lock();
        let Some(entry) = state.performers.get_mut(&self.number) else {
            return;
        };
        entry.last_error = Some(error.to_owned());
        let subscription = entry.subscription.clone();
        state.records.entry(subscription).or_default().last_error = Some(error.to_owned());
    }

    /// Where the performer shows what it has in hand.
    pub(super) fn in_flight(&self) -> &Arc<InFlightTable> {
        &self.table
    }
}

impl Drop for StatusReporter {
    fn drop(&mut self) {
        self.statuses.lock().performers.remove(&self.number);
        self.statuses.changed();
    }
}
