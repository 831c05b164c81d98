//! [`Controls`]: what the performers of one subscription are told while they run.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::channel::{Rate, SubscriptionSettings};

/// How much a subscription may do, changeable while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Throttle {
    /// Whether it takes no messages for now. What it has in hand it finishes, what waits in its performers'
    /// memory goes back to the channel.
    pub paused: bool,
    /// How many messages each of its performers handles at once.
    pub concurrency: usize,
    /// How fast all its performers together begin to handle messages; `None` for as fast as they can.
    pub rate: Option<Rate>,
}

/// What the performers of one subscription are told while they run, shared by all of them. A change wakes every
/// performer, so that none has to look.
#[derive(Debug)]
pub(super) struct Controls {
    throttle: watch::Sender<Throttle>,
    /// When the next message may begin, while there is a rate.
    next: Mutex<Option<Instant>>,
}

impl Controls {
    pub(super) fn new(settings: &SubscriptionSettings) -> Self {
        Self {
            throttle: watch::Sender::new(Throttle {
                paused: false,
                concurrency: settings.concurrency.max(1),
                rate: settings.rate,
            }),
            next: Mutex::default(),
        }
    }

    /// What holds now.
    pub(super) fn throttle(&self) -> Throttle {
        *self.throttle.borrow()
    }

    /// What holds now, and whatever comes after it.
    pub(super) fn changes(&self) -> watch::Receiver<Throttle> {
        self.throttle.subscribe()
    }

    /// Changes what holds; gives whether that was a change.
    pub(super) fn change(&self, change: impl FnOnce(&mut Throttle)) -> bool {
        self.throttle.send_if_modified(|throttle| {
            let before = *throttle;
            change(throttle);
            throttle.concurrency = throttle.concurrency.max(1);
            if throttle.rate != before.rate {
                *self.next() = None;
            }
            *throttle != before
        })
    }

    /// When the next message may begin; the one after it may not before the rate allows it.
    pub(super) fn reserve(&self, rate: Rate) -> Instant {
        let now = Instant::now();
        let mut next = self.next();
        // An idle time is not saved up.
        let begin = next.map_or(now, |next| next.max(now));
        *next = begin.checked_add(rate.interval());
        begin
    }

    fn next(&self) -> MutexGuard<'_, Option<Instant>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
