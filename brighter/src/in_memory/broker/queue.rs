//! One [`MemoryQueue`] of an in-memory broker, under a lock of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::delay_queue::{DelayQueue, TimedAction};
use super::in_flight::InFlightCount;
use super::waiters::{WaiterTicket, Waiters};
use super::watcher::{Departure, WatcherSlot};
use brighter_core::__private::clock::after;
use brighter_core::channel::{ChannelLimits, ChannelUsage, Overflow, PublishError, Rejection, RejectionKind};
use brighter_core::message::{ChannelName, Message};

/// One queue.
#[derive(Debug)]
pub(super) struct MemoryQueue {
    pub(super) name: ChannelName,
    pub(super) watch: WatcherSlot,
    delays: Arc<DelayQueue<QueueAction>>,
    state: Mutex<State>,
}

/// A message in a queue, or delivered from it and not settled.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) message: Arc<Message>,
    pub(super) redeliveries: u32,
    /// Its place among the others of its queue, which it keeps when it is given back.
    position: u64,
    /// When it will have waited too long.
    expires: Option<Instant>,
}

/// The messages of a queue, and its declaration.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In the order in which they go: the highest priority first, where there are priorities, and then by position.
    ready: VecDeque<Item>,
    /// The position of the last that came.
    last_position: u64,
    /// On their way back after a delay: they count, but cannot be taken.
    delayed: usize,
    closed: bool,
    pub(super) limits: ChannelLimits,
    pub(super) dead_letters: Weak<MemoryQueue>,
    waiters: Waiters,
    /// The oldest first: it is the active one, where there is but one.
    consumers: BTreeMap<u64, Arc<InFlightCount>>,
    /// Whether it is scheduled that the first message expires.
    expiry_is_set: bool,
    /// Whether it was said that the queue is full, since it last took a message.
    told_full: bool,
}

/// The result of offering a queue a message.
pub(super) enum Offered {
    Taken(After),
    Full {
        waiting: u64,
        /// Whether it was not full before.
        is_new: bool,
    },
}

/// An action that a queue does later.
#[derive(Debug)]
pub(super) enum QueueAction {
    /// A message comes back to its queue.
    Return(Weak<MemoryQueue>, Item),
    /// The first message of a queue has waited too long.
    Expire(Weak<MemoryQueue>),
}

impl TimedAction for QueueAction {
    fn run(self) {
        match self {
            Self::Return(queue, item) => {
                if let Some(queue) = queue.upgrade() {
                    queue.returned(item);
                }
            }
            Self::Expire(queue) => {
                if let Some(queue) = queue.upgrade() {
                    queue.expire();
                }
            }
        }
    }
}

/// The work that is left once the lock of a queue is free again: to wake under it would have the woken wait for it,
/// and no two queues are ever locked in an order of their own.
#[must_use]
#[derive(Debug, Default)]
pub(super) struct After {
    wake: Option<Waker>,
    expiry: Option<Instant>,
    dead: Vec<(Item, String)>,
    dead_letters: Weak<MemoryQueue>,
}

/// The result of a consumer's look.
pub(super) enum TakeResult {
    Item(Item),
    /// Nothing: it waits here.
    Nothing(WaiterTicket),
    Closed,
}

impl Item {
    pub(super) fn new(message: Arc<Message>) -> Self {
        Self {
            message,
            redeliveries: 0,
            position: 0,
            expires: None,
        }
    }
}

impl MemoryQueue {
    pub(super) fn new(name: ChannelName, delays: Arc<DelayQueue<QueueAction>>, watch: WatcherSlot) -> Self {
        Self {
            name,
            watch,
            delays,
            state: Mutex::default(),
        }
    }

    /// No method of [`State`] can panic half way, so what a poisoned lock guards is whole.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waiting(&self) -> Vec<Message> {
        let state = self.lock();
        state.ready.iter().map(|item| (*item.message).clone()).collect()
    }

    pub(super) fn depth(&self) -> u64 {
        self.lock().ready.len() as u64
    }

    pub(super) fn usage(&self, limit: usize) -> ChannelUsage {
        let state = self.lock();
        let mut usage = ChannelUsage::new(self.name.clone());
        usage.waiting = state.ready.len() as u64;
        let length = match state.limits.overflow {
            Overflow::RefuseNewest => state.limits.length.map(|length| length as usize),
            _ => None,
        };
        usage.limit = Some(length.map_or(limit, |length| length.min(limit)) as u64);
        usage.consumers = Some(state.consumers.len() as u64);
        usage
    }

    /// Returns an error if no channel may take this message, because of what it is.
    pub(super) fn check(&self, state: &State, message: &Message) -> Result<(), PublishError> {
        if let (Some(highest), Some(priority)) = (state.limits.priorities, message.header.priority)
            && priority > highest
        {
            let name = &self.name;
            return Err(PublishError::Refused {
                reason: format!(
                    "channel `{name}` has priorities up to {highest}, and the message has {priority}"
                ),
            });
        }
        Ok(())
    }

    /// Puts a message from its producer at the end, unless the queue is full.
    pub(super) fn offer(&self, state: &mut State, item: Item, limit: usize) -> Offered {
        let has_length = state.limits.overflow == Overflow::RefuseNewest;
        let is_full = state.ready.len() + state.delayed >= limit
            || has_length
                && state
                    .limits
                    .length
                    .is_some_and(|length| state.ready.len() >= length as usize);
        if is_full {
            return Offered::Full {
                waiting: (state.ready.len() + state.delayed) as u64,
                is_new: !std::mem::replace(&mut state.told_full, true),
            };
        }
        state.told_full = false;
        Offered::Taken(self.push(state, item))
    }

    /// Warns once that the queue is full.
    pub(super) fn warn_full(&self, waiting: u64) {
        tracing::warn!(
            channel = %self.name, waiting,
            "a channel is full and refuses what is published; consume it, or remove it by `Broker::remove` if it is \
             not needed"
        );
    }

    /// Puts a message at the end, which makes the oldest leave if the queue is to be no longer.
    fn push(&self, state: &mut State, item: Item) -> After {
        self.watch
            .tell(|watcher| watcher.arrived(&self.name, &item.message, false));
        self.append(state, item)
    }

    fn append(&self, state: &mut State, mut item: Item) -> After {
        item.expires = state.limits.time_to_live.map(|ttl| Instant::now() + ttl);
        state.last_position += 1;
        item.position = state.last_position;
        state.put(item);
        let mut after = state.after();
        if let (Some(length), Overflow::DeadLetterOldest) = (state.limits.length, state.limits.overflow) {
            while state.ready.len() > length as usize {
                let oldest = state.oldest().and_then(|oldest| state.ready.remove(oldest));
                let why = || format!("the channel holds {length} messages at most, and newer ones came");
                after.dead.extend(oldest.map(|oldest| (oldest, why())));
            }
        }
        after
    }

    /// Does what is left to do when the lock is free.
    pub(super) fn finish(self: &Arc<Self>, after: After) {
        let After {
            wake,
            expiry,
            dead,
            dead_letters,
        } = after;
        if let Some(waker) = wake {
            waker.wake();
        }
        if let Some(expiry) = expiry {
            self.delays
                .schedule(expiry, QueueAction::Expire(Arc::downgrade(self)));
        }
        if dead.is_empty() {
            return;
        }
        let Some(dead_letters) = dead_letters.upgrade() else {
            let (channel, messages) = (&self.name, dead.len());
            tracing::warn!(%channel, messages, "dead letters were dropped: their channel was removed");
            return;
        };
        for (item, why) in dead {
            let rejection = Rejection::new(RejectionKind::DeadLetter, why);
            self.set_aside(item, &rejection, &dead_letters);
        }
    }

    /// Moves a message that is no longer in the queue to another, with the reason. That one has no limit for it:
    /// what the broker has it never refuses.
    pub(super) fn set_aside(self: &Arc<Self>, item: Item, rejection: &Rejection, to: &Arc<Self>) {
        let message = Arc::clone(&item.message);
        let mut moved = Arc::unwrap_or_clone(item.message);
        rejection.annotate(&mut moved.header);
        self.move_to(&message, moved, true, to);
    }

    /// Moves a message that is no longer in the queue to another, as `moved`.
    pub(super) fn move_to(self: &Arc<Self>, message: &Message, moved: Message, aside: bool, to: &Arc<Self>) {
        let after = {
            let mut state = to.lock();
            to.watch.tell(|watcher| watcher.arrived(&to.name, &moved, aside));
            to.append(&mut state, Item::new(Arc::new(moved)))
        };
        to.finish(after);
        self.departed(message, Departure::Moved);
    }

    /// Appends a message that was sent to this queue alone. The queue has no limit for it.
    pub(super) fn accept(self: &Arc<Self>, message: Message) {
        let after = {
            let mut state = self.lock();
            self.watch
                .tell(|watcher| watcher.arrived(&self.name, &message, false));
            self.append(&mut state, Item::new(Arc::new(message)))
        };
        self.finish(after);
    }

    pub(super) fn departed(&self, message: &Message, how: Departure) {
        self.watch
            .tell(|watcher| watcher.departed(&self.name, message, how));
    }

    /// The next message for this consumer, or a place to wait.
    pub(super) fn take(
        self: &Arc<Self>,
        consumer: u64,
        ticket: Option<WaiterTicket>,
        waker: &Waker,
    ) -> TakeResult {
        let mut state = self.lock();
        if state.closed {
            return TakeResult::Closed;
        }
        let mut after = After::default();
        if state.limits.time_to_live.is_some() {
            state.take_expired(&mut after);
        }
        let may = state.active().is_none_or(|active| active == consumer);
        let Some(item) = (if may { state.ready.pop_front() } else { None }) else {
            let ticket = state.waiters.wait(ticket, consumer, waker);
            drop(state);
            self.finish(after);
            self.delays.look();
            return TakeResult::Nothing(ticket);
        };
        if let Some(ticket) = ticket {
            state.waiters.leave(ticket);
        }
        self.watch
            .tell(|watcher| watcher.delivered(&self.name, &item.message));
        drop(state);
        self.finish(after);
        TakeResult::Item(item)
    }

    /// Puts a message back where it was taken from, unless it was delivered too often.
    pub(super) fn put_back(self: &Arc<Self>, mut item: Item, counted: bool) {
        item.redeliveries = item.redeliveries.saturating_add(u32::from(counted));
        let after = {
            let mut state = self.lock();
            match state.limits.deliveries {
                Some(most) if counted && item.redeliveries >= most => {
                    let why = format!("it was delivered {most} times and never settled");
                    After {
                        dead: vec![(item, why)],
                        dead_letters: Weak::clone(&state.dead_letters),
                        ..After::default()
                    }
                }
                _ => {
                    self.departed(&item.message, Departure::Returned);
                    state.put(item);
                    state.after()
                }
            }
        };
        self.finish(after);
    }

    /// Delivers a message again after a delay.
    pub(super) fn requeue(self: &Arc<Self>, original: &Message, message: Message, delay: Duration) {
        let item = Item::new(Arc::new(message));
        let mut state = self.lock();
        self.departed(original, Departure::Again(delay));
        if delay.is_zero() {
            let after = self.append(&mut state, item);
            drop(state);
            self.finish(after);
        } else {
            state.delayed += 1;
            drop(state);
            let due = after(Instant::now(), delay);
            self.delays
                .schedule(due, QueueAction::Return(Arc::downgrade(self), item));
        }
    }

    /// The delay of a message is over.
    fn returned(self: &Arc<Self>, item: Item) {
        let mut state = self.lock();
        state.delayed = state.delayed.saturating_sub(1);
        let after = self.append(&mut state, item);
        drop(state);
        self.finish(after);
    }

    /// The time of the first message may be over.
    fn expire(self: &Arc<Self>) {
        let mut state = self.lock();
        state.expiry_is_set = false;
        let mut after = After::default();
        state.take_expired(&mut after);
        after.expiry = state.set_expiry();
        drop(state);
        self.finish(after);
    }

    pub(super) fn joined(&self, consumer: u64, in_flight: Arc<InFlightCount>) {
        self.lock().consumers.insert(consumer, in_flight);
    }

    /// A consumer is gone: what it was woken for is another's.
    pub(super) fn left(&self, consumer: u64, ticket: Option<WaiterTicket>) {
        let mut state = self.lock();
        let was_active = state.active() == Some(consumer);
        state.consumers.remove(&consumer);
        let was_woken = ticket.is_some_and(|ticket| !state.waiters.leave(ticket));
        let wake = if (was_woken || was_active) && !state.ready.is_empty() {
            state.next_waiter()
        } else {
            None
        };
        drop(state);
        if let Some(waker) = wake {
            waker.wake();
        }
    }

    pub(super) fn has_consumers(&self) -> bool {
        !self.lock().consumers.is_empty()
    }

    pub(super) fn consumers(&self) -> u64 {
        self.lock().consumers.len() as u64
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Ends every consumer.
    pub(super) fn close(&self) {
        let (waiting, consumers) = {
            let mut state = self.lock();
            state.closed = true;
            let consumers: Vec<_> = state.consumers.values().cloned().collect();
            (state.waiters.all(), consumers)
        };
        waiting.into_iter().for_each(Waker::wake);
        consumers.iter().for_each(|in_flight| in_flight.wake());
    }
}

impl State {
    /// The one consumer that gets messages, where there is but one.
    fn active(&self) -> Option<u64> {
        if !self.limits.single_active_consumer {
            return None;
        }
        self.consumers.first_key_value().map(|(consumer, _)| *consumer)
    }

    /// Puts a message in its place among those that wait. One that has just come is the last of its priority.
    fn put(&mut self, item: Item) {
        let has_priorities = self.limits.priorities.is_some();
        let rank = |item: &Item| {
            let priority = item.message.header.priority.filter(|_| has_priorities);
            (Reverse(priority.unwrap_or(0)), item.position)
        };
        match self.ready.back() {
            Some(last) if rank(last) > rank(&item) => {
                let place = self.ready.partition_point(|other| rank(other) < rank(&item));
                self.ready.insert(place, item);
            }
            _ => self.ready.push_back(item),
        }
    }

    /// Returns where the message is that has waited for the longest time.
    fn oldest(&self) -> Option<usize> {
        if self.limits.priorities.is_none() {
            return (!self.ready.is_empty()).then_some(0);
        }
        let positions = self.ready.iter().map(|item| item.position).enumerate();
        positions
            .min_by_key(|(_, position)| *position)
            .map(|(place, _)| place)
    }

    fn next_waiter(&mut self) -> Option<Waker> {
        let only = self.active();
        self.waiters.next(only)
    }

    /// Returns the work that is left after a message came.
    fn after(&mut self) -> After {
        After {
            wake: self.next_waiter(),
            expiry: self.set_expiry(),
            dead: Vec::new(),
            dead_letters: Weak::clone(&self.dead_letters),
        }
    }

    /// When the first message expires, if that is not scheduled yet.
    fn set_expiry(&mut self) -> Option<Instant> {
        if self.expiry_is_set {
            return None;
        }
        let expiry = self.ready.get(self.oldest()?)?.expires?;
        self.expiry_is_set = true;
        Some(expiry)
    }

    fn take_expired(&mut self, after: &mut After) {
        let now = Instant::now();
        let is_expired = |item: &Item| item.expires.is_some_and(|expires| expires <= now);
        while let Some(oldest) = self.oldest().filter(|oldest| is_expired(&self.ready[*oldest])) {
            let ttl = self.limits.time_to_live.unwrap_or_default();
            let why = || format!("it waited longer than {ttl:?}");
            after
                .dead
                .extend(self.ready.remove(oldest).map(|item| (item, why())));
        }
        if !after.dead.is_empty() {
            after.dead_letters = Weak::clone(&self.dead_letters);
        }
    }
}
