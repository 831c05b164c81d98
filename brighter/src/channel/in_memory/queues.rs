//! The queues of an in-memory broker, and which topic goes to which.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

use crate::channel::{Channel, ChannelError, PublishError};
use crate::message::{ChannelName, Message, RoutingKey};

/// How many topics have their routes remembered; who uses more pays for finding them again.
const REMEMBERED_ROUTES: usize = 1024;

/// Every queue of a broker. A queue is named by its place, which never changes: none is ever removed.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: Vec<Queue>,
    names: HashMap<ChannelName, usize>,
    routes: HashMap<RoutingKey, Vec<usize>>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Queue {
    name: Option<ChannelName>,
    routing_keys: Vec<RoutingKey>,
    ready: VecDeque<Message>,
    /// On their way back after a delay: they count, but cannot be taken.
    delayed: usize,
    /// Consumers that found nothing, or had all they may. A push wakes every one: one that is woken for
    /// nothing costs a look, one that is not woken costs a stall.
    waiters: HashMap<usize, Waker>,
    next_waiter: usize,
}

impl Queues {
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.queues.iter_mut().for_each(Queue::wake);
    }

    /// Makes the queue of a channel, and the two beside it; adds routing keys that it did not have.
    pub(super) fn declare(&mut self, channel: &Channel) -> Result<usize, ChannelError> {
        if self.closed {
            return Err(ChannelError::Closed);
        }
        self.find_or_make(&channel.dead_letters);
        self.find_or_make(&channel.invalid_messages);
        let place = self.find_or_make(&channel.name);
        let queue = &mut self.queues[place];
        for key in &channel.routing_keys {
            if !queue.routing_keys.contains(key) {
                queue.routing_keys.push(key.clone());
                self.routes.clear();
            }
        }
        Ok(place)
    }

    fn find_or_make(&mut self, name: &ChannelName) -> usize {
        if let Some(place) = self.names.get(name) {
            return *place;
        }
        let place = self.queues.len();
        self.queues.push(Queue {
            name: Some(name.clone()),
            ..Queue::default()
        });
        self.names.insert(name.clone(), place);
        place
    }

    /// Puts a copy in every queue that wants the topic, or in none.
    pub(super) fn publish(&mut self, message: &Message, limit: usize) -> Result<(), PublishError> {
        if self.closed {
            return Err(PublishError::Closed);
        }
        let topic = &message.header.topic;
        if !self.routes.contains_key(topic) {
            if self.routes.len() >= REMEMBERED_ROUTES {
                self.routes.clear();
            }
            let wants = |queue: &Queue| queue.routing_keys.iter().any(|key| key.matches(topic));
            let places = (0..self.queues.len())
                .filter(|place| wants(&self.queues[*place]))
                .collect();
            self.routes.insert(topic.clone(), places);
        }
        let places = self.routes.get(topic).map_or(&[][..], Vec::as_slice);
        if places.is_empty() {
            return Err(PublishError::Unroutable { topic: topic.clone() });
        }
        if let Some(full) = places
            .iter()
            .map(|place| &self.queues[*place])
            .find(|queue| queue.len() >= limit)
        {
            let name = full.name.as_ref().map_or("", ChannelName::as_str);
            return Err(PublishError::Refused {
                reason: format!("channel `{name}` is full: it holds {limit} messages"),
            });
        }
        for place in places {
            self.queues[*place].push_back(message.clone());
        }
        Ok(())
    }

    /// Puts a message in the queue of this name, whatever its topic: what the broker already has it never
    /// refuses, so this has no limit.
    pub(super) fn move_to(&mut self, name: &ChannelName, message: Message) {
        let place = self.find_or_make(name);
        self.queues[place].push_back(message);
    }

    /// The next message of a queue.
    pub(super) fn take(&mut self, place: usize) -> Option<Message> {
        self.queues[place].ready.pop_front()
    }

    /// Puts a message back where it was taken from.
    pub(super) fn put_back(&mut self, place: usize, message: Message) {
        let queue = &mut self.queues[place];
        queue.ready.push_front(message);
        queue.wake();
    }

    /// Puts a message at the end of its queue.
    pub(super) fn requeue(&mut self, place: usize, message: Message) {
        self.queues[place].push_back(message);
    }

    /// Counts a message that comes back later.
    pub(super) fn delay(&mut self, place: usize) {
        self.queues[place].delayed += 1;
    }

    /// The message that was counted by [`delay`](Self::delay) is back.
    pub(super) fn undelay(&mut self, place: usize, message: Message) {
        let queue = &mut self.queues[place];
        queue.delayed = queue.delayed.saturating_sub(1);
        queue.push_back(message);
    }

    /// A consumer of the queue has one loan fewer.
    pub(super) fn wake(&mut self, place: usize) {
        self.queues[place].wake();
    }

    /// Wakes the task when the queue has something new; gives the place to name when waiting again.
    pub(super) fn wait(&mut self, place: usize, waiter: Option<usize>, waker: &Waker) -> usize {
        let queue = &mut self.queues[place];
        let waiter = waiter.unwrap_or_else(|| {
            queue.next_waiter += 1;
            queue.next_waiter
        });
        queue.waiters.insert(waiter, waker.clone());
        waiter
    }

    pub(super) fn forget(&mut self, place: usize, waiter: usize) {
        self.queues[place].waiters.remove(&waiter);
    }

    pub(super) fn waiting(&self, name: &ChannelName) -> Vec<Message> {
        let queue = self.names.get(name).map(|place| &self.queues[*place]);
        queue
            .map(|queue| queue.ready.iter().cloned().collect())
            .unwrap_or_default()
    }
}

impl Queue {
    fn len(&self) -> usize {
        self.ready.len() + self.delayed
    }

    fn push_back(&mut self, message: Message) {
        self.ready.push_back(message);
        self.wake();
    }

    fn wake(&mut self) {
        for (_, waker) in self.waiters.drain() {
            waker.wake();
        }
    }
}
