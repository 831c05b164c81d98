//! The [`Watchdog`]: says so when a handler blocks its thread, or has a message for so long that the broker will take
//! its consumer for dead.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::hands::{Hands, Held};
use brighter_core::message::SubscriptionName;

/// How often it looks while there is anything in hand.
const TICK: Duration = Duration::from_millis(250);
/// How long one poll of a handler may take before it is told; then twice as long, and so on.
const BLOCKED: Duration = Duration::from_secs(1);

/// Looks at what performers have in hand from a thread of its own, for the one that runs a blocked handler cannot.
/// While nothing is in hand the thread sleeps; it ends with the watchdog.
#[derive(Debug, Default)]
pub(super) struct Watchdog(Arc<Kennel>);

/// What the thread shares with those who wake it.
#[derive(Debug, Default)]
pub(super) struct Kennel {
    awake: AtomicBool,
    over: AtomicBool,
    thread: OnceLock<Option<Thread>>,
    watched: Mutex<Vec<Watched>>,
}

#[derive(Debug)]
struct Watched {
    subscription: SubscriptionName,
    hands: Weak<Hands>,
    /// The poll that goes on, since when it was seen, and how long it may take before it is told again.
    poll: Option<(u64, Instant, Duration)>,
}

impl Watchdog {
    /// Watches another performer, until what is given is dropped.
    pub(super) fn watch(&self, subscription: &SubscriptionName) -> Arc<Hands> {
        self.0.thread.get_or_init(|| start(&self.0));
        let hands = Arc::new(Hands::new(Arc::clone(&self.0)));
        self.0.lock().push(Watched {
            subscription: subscription.clone(),
            hands: Arc::downgrade(&hands),
            poll: None,
        });
        hands
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
        self.0.unpark();
    }
}

fn start(kennel: &Arc<Kennel>) -> Option<Thread> {
    // What logs in this place logs there: a thread has no subscriber of its own but the global one.
    let subscriber = tracing::dispatcher::get_default(Clone::clone);
    let watching = Arc::clone(kennel);
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
                "no watchdog: handlers that block their thread will not be told"
            );
            None
        }
    }
}

impl Kennel {
    /// There is something in hand. The note of it comes before the look at `awake`, and the watchdog's look for
    /// such notes after the change of it, both under the lock of the note: one of the two sees the other.
    pub(super) fn wake(&self) {
        if !self.awake.load(Ordering::Relaxed) && !self.awake.swap(true, Ordering::Relaxed) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(Some(thread)) = self.thread.get() {
            thread.unpark();
        }
    }

    fn watch(&self) {
        while !self.over.load(Ordering::Relaxed) {
            if self.look(Instant::now()) {
                thread::park_timeout(TICK);
                continue;
            }
            self.awake.store(false, Ordering::Relaxed);
            if self.look(Instant::now()) {
                self.awake.store(true, Ordering::Relaxed);
            } else {
                thread::park();
            }
        }
    }

    /// Looks at all of them; says whether there is anything in hand.
    fn look(&self, now: Instant) -> bool {
        let mut busy = false;
        self.lock().retain_mut(|watched| {
            let Some(hands) = watched.hands.upgrade() else {
                return false;
            };
            if !hands.is_empty() {
                busy = true;
                watched.look(&hands, now);
            }
            true
        });
        busy
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn look(&mut self, hands: &Hands, now: Instant) {
        for held in hands.overdue() {
            tracing::warn!(
                subscription = %self.subscription,
                handler = names(&held),
                id = %held.id,
                since = ?held.since.elapsed(),
                limit = ?hands.settles_within().unwrap_or_default(),
                "a message will not be settled in time: soon the broker takes the consumer for dead, and delivers all it has again; make the handler shorter, or the broker's limit longer"
            );
        }
        let poll = hands.poll();
        self.poll = match (poll, self.poll) {
            (Some(poll), Some((before, since, limit))) if poll == before => {
                let blocked = now.saturating_duration_since(since);
                let told = blocked >= limit && self.tell(hands, poll, blocked);
                Some((poll, since, if told { limit * 2 } else { limit }))
            }
            (poll, _) => poll.map(|poll| (poll, now, BLOCKED)),
        };
    }

    fn tell(&self, hands: &Hands, poll: u64, blocked: Duration) -> bool {
        let Some(held) = hands.polled(poll) else {
            return false;
        };
        tracing::warn!(
            subscription = %self.subscription,
            handler = names(&held),
            id = %held.id,
            ?blocked,
            "a handler blocks its thread, so that nothing else can run on it: let it await, or use `tokio::task::spawn_blocking`"
        );
        true
    }
}

/// The handler; several, if the message is an event's.
fn names(held: &Held) -> String {
    held.handlers.join(" or ")
}
