//! [`Controls`]: what the performers of one subscription are told while they run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use super::handover::Handover;
use crate::subscription::{Rate, SubscriptionSettings, invalid_concurrency};
use crate::telemetry::metrics::SubscriptionMetrics;
use brighter_core::error::InvalidSetting;

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

impl Throttle {
    /// Returns the throttle for one message at a time.
    pub(super) fn alone(self) -> Self {
        Self {
            concurrency: 1,
            ..self
        }
    }
}

/// The commands that hold for the performers of one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ControlState {
    pub(super) throttle: Throttle,
    /// Whether it has set aside as many messages as it may.
    pub(super) limit_reached: bool,
    /// Whether one of its performers handles suspects alone, and the others take nothing.
    pub(super) careful: bool,
}

impl ControlState {
    /// Whether messages are to be taken at all.
    pub(super) fn consumes(&self) -> bool {
        !self.throttle.paused && !self.limit_reached
    }
}

/// The control of the performers of one subscription at run time, shared by all of them. A change wakes every
/// performer, so that none has to look.
#[derive(Debug)]
pub(super) struct Controls {
    told: watch::Sender<ControlState>,
    /// When the next message may begin, while there is a rate.
    next: Mutex<Option<Instant>>,
    unacceptable: Mutex<UnacceptableCount>,
    /// How many of its performers have a consumer that takes as many messages as its buffer holds.
    consumers: watch::Sender<usize>,
    pub(super) metrics: SubscriptionMetrics,
    /// Through which they share what waits behind a busy one.
    pub(super) handover: Arc<Handover>,
}

/// How many messages were set aside.
#[derive(Debug)]
struct UnacceptableCount {
    limit: u32,
    window: Option<Duration>,
    count: u32,
    /// When the first of them was.
    since: Option<Instant>,
}

impl Controls {
    pub(super) fn new(settings: &SubscriptionSettings) -> Self {
        let throttle = Throttle {
            paused: false,
            concurrency: settings.concurrency,
            rate: settings.rate,
        };
        Self {
            metrics: SubscriptionMetrics::new(settings),
            handover: Arc::default(),
            told: watch::Sender::new(ControlState {
                throttle,
                limit_reached: false,
                careful: false,
            }),
            consumers: watch::Sender::new(0),
            next: Mutex::default(),
            unacceptable: Mutex::new(UnacceptableCount {
                limit: settings.unacceptable_limit,
                window: settings.unacceptable_window,
                count: 0,
                since: None,
            }),
        }
    }

    /// Returns the throttle that holds now.
    pub(super) fn throttle(&self) -> Throttle {
        self.told.borrow().throttle
    }

    /// Whether it is to take nothing: it is paused, or its limit is reached.
    pub(super) fn is_idle(&self) -> bool {
        !self.told.borrow().consumes()
    }

    /// Whether the subscription has set aside as many messages as it may.
    pub(super) fn limit_reached(&self) -> bool {
        self.told.borrow().limit_reached
    }

    /// Returns the state that holds now, and each change after it.
    pub(super) fn changes(&self) -> watch::Receiver<ControlState> {
        self.told.subscribe()
    }

    /// Changes what holds; gives whether that was a change. What cannot be is refused, and changes nothing.
    pub(super) fn change(&self, change: impl FnOnce(&mut Throttle)) -> Result<bool, InvalidSetting> {
        let mut refused = None;
        let changed = self.told.send_if_modified(|told| {
            let before = *told;
            change(&mut told.throttle);
            let Throttle {
                concurrency, rate, ..
            } = told.throttle;
            refused = invalid_concurrency(concurrency).or(rate.and_then(Rate::invalid));
            if refused.is_some() {
                *told = before;
                return false;
            }
            if told.throttle.rate != before.throttle.rate {
                *lock(&self.next) = None;
            }
            *told != before
        });
        refused.map_or(Ok(changed), Err)
    }

    /// Begins a new count of what is set aside: the subscription is started.
    pub(super) fn begin_anew(&self) {
        let mut tally = lock(&self.unacceptable);
        (tally.count, tally.since) = (0, None);
        self.told
            .send_if_modified(|told| std::mem::replace(&mut told.limit_reached, false));
    }

    /// Notes that a message is set aside; gives how many there are, if that is one too many, the first time.
    pub(super) fn set_aside(&self) -> Option<u32> {
        let mut tally = lock(&self.unacceptable);
        tally.add(Instant::now()).then_some(())?;
        let first = self
            .told
            .send_if_modified(|told| !std::mem::replace(&mut told.limit_reached, true));
        first.then_some(tally.count)
    }

    /// Whether one of its performers handles suspects alone.
    pub(super) fn is_careful(&self) -> bool {
        self.told.borrow().careful
    }

    /// Stops the other performers from taking messages until the guard is dropped. `None`, if another performer does so already.
    pub(super) fn begin_careful(&self) -> Option<CarefulGuard<'_>> {
        let first = self
            .told
            .send_if_modified(|told| !std::mem::replace(&mut told.careful, true));
        first.then_some(CarefulGuard(self))
    }

    /// Counts a performer that consumes, until the guard is dropped: when its consumer has given back all that it had.
    pub(super) fn consumes(&self) -> ConsumesGuard<'_> {
        self.consumers.send_modify(|consumers| *consumers += 1);
        ConsumesGuard(self)
    }

    /// Waits until none of the performers that are counted consumes.
    pub(super) async fn nobody_consumes(&self) {
        // The sender is here, so this is no error.
        let _ = self
            .consumers
            .subscribe()
            .wait_for(|consumers| *consumers == 0)
            .await;
    }

    /// When the next message may begin; the one after it may not before the rate allows it.
    pub(super) fn reserve(&self, rate: Rate) -> Instant {
        let now = Instant::now();
        let mut next = lock(&self.next);
        // An idle time is not saved up.
        let begin = next.map_or(now, |next| next.max(now));
        *next = begin.checked_add(rate.interval());
        begin
    }
}

/// While it is there, one performer of the subscription takes messages.
pub(super) struct CarefulGuard<'c>(&'c Controls);

impl Drop for CarefulGuard<'_> {
    fn drop(&mut self) {
        self.0.told.send_modify(|told| told.careful = false);
    }
}

/// A performer that consumes.
pub(super) struct ConsumesGuard<'c>(&'c Controls);

impl Drop for ConsumesGuard<'_> {
    fn drop(&mut self) {
        self.0.consumers.send_modify(|consumers| *consumers -= 1);
    }
}

impl UnacceptableCount {
    /// Counts one more; says whether the limit is reached.
    fn add(&mut self, now: Instant) -> bool {
        if self.limit == 0 {
            return false;
        }
        let over = |since| self.window.is_some_and(|window| now - since >= window);
        if self.since.is_none_or(over) {
            (self.count, self.since) = (0, Some(now));
        }
        self.count = self.count.saturating_add(1);
        self.count >= self.limit
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_core::channel::Channel;

    fn settings() -> SubscriptionSettings {
        SubscriptionSettings::new("test".into(), Channel::new("test", "test"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_spreads_messages_evenly_and_saves_nothing_up() {
        let controls = Controls::new(&settings());
        let (rate, began) = (Rate::per_second(10), Instant::now());
        let at = |controls: &Controls| (controls.reserve(rate) - began).as_millis();
        assert_eq!([at(&controls), at(&controls), at(&controls)], [0, 100, 200]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!([at(&controls), at(&controls)], [1000, 1100]);
        controls.change(|throttle| throttle.rate = Some(rate)).unwrap();
        assert_eq!(at(&controls), 1000, "another rate begins at once");
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_reached_once_in_each_window() {
        let mut settings = settings();
        settings.unacceptable_limit = 2;
        settings.unacceptable_window = Some(Duration::from_secs(60));
        let controls = Controls::new(&settings);
        assert_eq!(controls.set_aside(), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(controls.set_aside(), None, "the first is forgotten");
        assert_eq!(controls.set_aside(), Some(2));
        assert!(controls.limit_reached() && !controls.changes().borrow().consumes());
        assert_eq!(controls.set_aside(), None, "it is told once");
        controls.begin_anew();
        assert!(!controls.limit_reached());
        assert_eq!(controls.set_aside(), None);
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let controls = Controls::new(&settings());
        assert!((0..1000).all(|_| controls.set_aside().is_none()));
    }
}
