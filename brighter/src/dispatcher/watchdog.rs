//! The [`Watchdog`]: says so when a mapper or handler blocks its thread, or has a message for so long that the broker will take
//! its consumer for dead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::in_flight_table::{InFlightEntry, InFlightTable};
use super::watchdog_waker::WatchdogWaker;
use brighter_core::message::SubscriptionName;

/// How often it looks while there is anything in hand.
const TICK: Duration = Duration::from_millis(250);
/// How long one poll of a handler may take before it is told; then twice as long, and so on.
const BLOCKED: Duration = Duration::from_secs(1);

/// Looks at what performers have in hand from a thread of its own, for the one that runs a blocked handler cannot.
/// While nothing is in hand the thread sleeps; it ends with the watchdog.
#[derive(Debug, Default)]
pub(super) struct Watchdog(Arc<WatchdogShared>);

/// The state that the watchdog shares with its thread.
#[derive(Debug, Default)]
struct WatchdogShared {
    waker: Arc<WatchdogWaker>,
    watched: Mutex<Vec<WatchedPerformer>>,
}

#[derive(Debug)]
struct WatchedPerformer {
    subscription: SubscriptionName,
    table: Weak<InFlightTable>,
    /// The poll that goes on, since when it was seen, and how long it may take before it is told again.
    poll: Option<(u64, Instant, Duration)>,
}

impl Watchdog {
    /// Watches another performer, until what is given is dropped.
    pub(super) fn watch(&self, subscription: &SubscriptionName) -> Arc<InFlightTable> {
        self.0.waker.start(|| start(&self.0));
        let table = Arc::new(InFlightTable::new(Arc::clone(&self.0.waker)));
        self.0.lock().push(WatchedPerformer {
            subscription: subscription.clone(),
            table: Arc::downgrade(&table),
            poll: None,
        });
        table
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.waker.end();
    }
}

fn start(shared: &Arc<WatchdogShared>) -> Option<Thread> {
    // What logs in this place logs there: a thread has no subscriber of its own but the global one.
    let subscriber = tracing::dispatcher::get_default(Clone::clone);
    let watching = Arc::clone(shared);
    let watch = move || tracing::dispatcher::with_default(&subscriber, || watching.watch());
    match thread::Builder::new()
        .name("brighter-watchdog".into())
        .spawn(watch)
    {
        Ok(thread) => Some(thread.thread().clone()),
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(
                error,
                "could not start the watchdog; mappers and handlers that block their thread are not reported"
            );
            None
        }
    }
}

impl WatchdogShared {
    fn watch(&self) {
        while !self.waker.is_over() {
            if self.look(Instant::now()) {
                thread::park_timeout(TICK);
            } else {
                self.waker.sleep_unless(|| self.look(Instant::now()));
            }
        }
    }

    /// Looks at all of them; says whether there is anything in hand.
    fn look(&self, now: Instant) -> bool {
        let mut busy = false;
        self.lock().retain_mut(|watched| {
            let Some(table) = watched.table.upgrade() else {
                return false;
            };
            if !table.is_empty() {
                busy = true;
                watched.look(&table, now);
            }
            true
        });
        busy
    }

    fn lock(&self) -> MutexGuard<'_, Vec<WatchedPerformer>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchedPerformer {
    fn look(&mut self, table: &InFlightTable, now: Instant) {
        for held in table.overdue() {
            tracing::warn!(
                subscription = %self.subscription,
                handler = names(&held),
                id = %held.id,
                since = ?held.since.elapsed(),
                limit = ?table.settles_within().unwrap_or_default(),
                "a message will not be settled in time: soon the broker takes the consumer for dead, and delivers all it has again; make the handler shorter, or the broker's limit longer"
            );
        }
        let poll = table.poll();
        self.poll = match (poll, self.poll) {
            (Some(poll), Some((before, since, limit))) if poll == before => {
                let blocked = now.saturating_duration_since(since);
                let told = blocked >= limit && self.tell(table, poll, blocked);
                Some((poll, since, if told { limit * 2 } else { limit }))
            }
            (poll, _) => poll.map(|poll| (poll, now, BLOCKED)),
        };
    }

    fn tell(&self, table: &InFlightTable, poll: u64, blocked: Duration) -> bool {
        let Some(held) = table.polled(poll) else {
            return false;
        };
        let (subscription, handler, id) = (&self.subscription, names(&held), &held.id);
        if table.is_mapping() {
            tracing::warn!(
                %subscription, handler, %id, ?blocked,
                "the mapper of a message blocks its thread, so nothing else can run on it: let the mapper only decode, and do slow work in the handler, which can await"
            );
        } else {
            tracing::warn!(
                %subscription, handler, %id, ?blocked,
                "a handler blocks its thread, so nothing else can run on it: let it await, or move the blocking call into `tokio::task::spawn_blocking`"
            );
        }
        true
    }
}

/// The handler; several, if the message is an event's.
fn names(held: &InFlightEntry) -> String {
    held.handlers.join(" or ")
}
