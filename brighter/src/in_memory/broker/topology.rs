//! The [`QueueTable`] of an in-memory broker: which queues there are, and which topic goes to which.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::delay_queue::DelayQueue;
use super::queue::{Item, MemoryQueue, Offered, QueueAction};
use super::watcher::WatcherSlot;
use brighter_core::__private::declared_otherwise;
use brighter_core::channel::{Channel, ChannelError, ChannelUsage, DeclareMode, PublishError};
use brighter_core::message::{ChannelName, Message, RoutingKey};

/// How many topics have their routes remembered; who uses more pays for finding them again.
const REMEMBERED_ROUTES: usize = 1024;

/// Which queues there are, and which topic goes to which.
#[derive(Debug)]
pub(super) struct QueueTable {
    bindings: Vec<QueueBinding>,
    names: HashMap<ChannelName, usize>,
    /// In the order of their making, which is the order in which several are locked.
    routes: HashMap<RoutingKey, Vec<Arc<MemoryQueue>>>,
    closed: bool,
    delays: Arc<DelayQueue<QueueAction>>,
    watch: WatcherSlot,
    consumers: u64,
}

/// A queue and the topics that it wants.
#[derive(Debug)]
struct QueueBinding {
    queue: Arc<MemoryQueue>,
    routing_keys: Vec<RoutingKey>,
    /// Whether it was declared as a channel, or is only beside one so far.
    declared: bool,
}

/// The queues of a channel that is consumed.
pub(super) struct Opened {
    pub(super) queue: Arc<MemoryQueue>,
    /// Which consumer this is of all there ever were.
    pub(super) consumer: u64,
}

impl QueueTable {
    pub(super) fn new(watch: WatcherSlot) -> Self {
        Self {
            bindings: Vec::new(),
            names: HashMap::new(),
            routes: HashMap::new(),
            closed: false,
            delays: Arc::default(),
            watch,
            consumers: 0,
        }
    }

    #[cfg(feature = "testing")]
    pub(super) fn watched_by(&self, watcher: Arc<dyn super::watcher::Watcher>) -> bool {
        self.watch.set(watcher)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.bindings.iter().for_each(|binding| binding.queue.close());
    }

    pub(super) fn find(&self, name: &ChannelName) -> Option<&Arc<MemoryQueue>> {
        self.names.get(name).map(|place| &self.bindings[*place].queue)
    }

    /// Every queue, in the order of their names.
    pub(super) fn usage(&self, limit: usize) -> Result<Vec<ChannelUsage>, ChannelError> {
        if self.closed {
            return Err(ChannelError::Closed);
        }
        let usage = |binding: &QueueBinding| {
            let mut usage = binding.queue.usage(limit);
            usage.routing_keys.clone_from(&binding.routing_keys);
            usage
        };
        let mut usages: Vec<_> = self.bindings.iter().map(usage).collect();
        usages.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(usages)
    }

    /// Makes the queue of a channel and the two beside it, or looks for them, as the channel says.
    pub(super) fn open(&mut self, channel: &Channel) -> Result<Opened, ChannelError> {
        channel.validate()?;
        if self.closed {
            return Err(ChannelError::Closed);
        }
        check_limits(channel)?;
        match channel.declare {
            DeclareMode::Create => self.declare(channel)?,
            DeclareMode::Validate => {
                for name in [&channel.name, &channel.dead_letters, &channel.invalid_messages] {
                    self.existing(name)?;
                }
            }
            DeclareMode::Assume => {}
            _ => return Err(ChannelError::Unsupported("this way to make a channel")),
        }
        let queue = Arc::clone(self.existing(&channel.name)?);
        self.consumers += 1;
        Ok(Opened {
            queue,
            consumer: self.consumers,
        })
    }

    fn existing(&self, name: &ChannelName) -> Result<&Arc<MemoryQueue>, ChannelError> {
        self.find(name).ok_or_else(|| ChannelError::Refused {
            reason: format!(
                "there is no channel `{name}`, and the subscription does not make it: declare it, or have it made \
                 with `DeclareMode::Create`"
            ),
        })
    }

    /// Takes a temporary queue out, unless somebody consumes it.
    pub(super) fn leave(&mut self, queue: &Arc<MemoryQueue>) {
        if queue.has_consumers() {
            return;
        }
        self.take_out(queue);
    }

    /// Takes a queue out with all that is in it, and ends its consumers.
    pub(super) fn remove(&mut self, name: &ChannelName) -> Result<(), ChannelError> {
        name.validate()?;
        if self.closed {
            return Err(ChannelError::Closed);
        }
        if let Some(queue) = self.find(name).cloned() {
            queue.close();
            self.take_out(&queue);
        }
        Ok(())
    }

    fn take_out(&mut self, queue: &Arc<MemoryQueue>) {
        let is_other = |binding: &QueueBinding| !Arc::ptr_eq(&binding.queue, queue);
        self.bindings.retain(is_other);
        let places = self.bindings.iter().enumerate();
        self.names = places
            .map(|(place, binding)| (binding.queue.name.clone(), place))
            .collect();
        self.routes.clear();
    }

    /// Whether it is declared, or only there for what others set aside. `None`, if there is no such channel.
    fn is_declared(&self, name: &ChannelName) -> Option<bool> {
        self.names.get(name).map(|place| self.bindings[*place].declared)
    }

    /// A channel with dead letters of its own is of another kind than one for those of others.
    fn check_kinds(&self, channel: &Channel) -> Result<(), ChannelError> {
        if self.is_declared(&channel.name) == Some(false) {
            return Err(declared_otherwise(&channel.name, None));
        }
        let mut beside = [&channel.dead_letters, &channel.invalid_messages].into_iter();
        match beside.find(|name| self.is_declared(name) == Some(true)) {
            Some(name) if channel.idle_timeout.is_none() => {
                Err(declared_otherwise(name, Some(&channel.name)))
            }
            _ => Ok(()),
        }
    }

    fn declare(&mut self, channel: &Channel) -> Result<(), ChannelError> {
        self.check_kinds(channel)?;
        let dead_letters = match channel.idle_timeout {
            Some(_) => Weak::new(),
            None => {
                let place = self.find_or_make(&channel.dead_letters);
                self.find_or_make(&channel.invalid_messages);
                Arc::downgrade(&self.bindings[place].queue)
            }
        };
        let place = self.find_or_make(&channel.name);
        let binding = &mut self.bindings[place];
        let mut state = binding.queue.lock();
        if !binding.declared {
            binding.declared = true;
            state.limits = channel.limits.clone();
            state.dead_letters = dead_letters;
        } else if state.limits != channel.limits {
            let (name, has, wanted) = (&channel.name, &state.limits, &channel.limits);
            return Err(ChannelError::Refused {
                reason: format!(
                    "channel `{name}` exists with other limits ({has:?}) than the subscription asks for ({wanted:?}): \
                     make them the same everywhere"
                ),
            });
        }
        drop(state);
        for key in &channel.routing_keys {
            if !binding.routing_keys.contains(key) {
                binding.routing_keys.push(key.clone());
                self.routes.clear();
            }
        }
        Ok(())
    }

    fn find_or_make(&mut self, name: &ChannelName) -> usize {
        if let Some(place) = self.names.get(name) {
            return *place;
        }
        let place = self.bindings.len();
        let queue = MemoryQueue::new(name.clone(), Arc::clone(&self.delays), self.watch.clone());
        self.bindings.push(QueueBinding {
            queue: Arc::new(queue),
            routing_keys: Vec::new(),
            declared: false,
        });
        self.names.insert(name.clone(), place);
        place
    }

    /// Finds out which queues want a topic.
    pub(super) fn learn(&mut self, topic: &RoutingKey) {
        if self.routes.len() >= REMEMBERED_ROUTES {
            self.routes.clear();
        }
        let wants = |binding: &&QueueBinding| binding.routing_keys.iter().any(|key| key.matches(topic));
        let wanted = self.bindings.iter().filter(wants);
        let queues = wanted.map(|binding| Arc::clone(&binding.queue)).collect();
        self.routes.insert(topic.clone(), queues);
    }

    /// Puts a copy in every queue that wants the topic and has room. `None`, if it is still to be
    /// [learnt](Self::learn) which those are.
    pub(super) fn publish(&self, message: &Message, limit: usize) -> Option<Result<(), PublishError>> {
        if self.closed {
            return Some(Err(PublishError::Closed));
        }
        let topic = &message.header.topic;
        Some(match &self.routes.get(topic)?[..] {
            [] => Err(PublishError::Unroutable { topic: topic.clone() }),
            [only] => put(only, message, limit),
            several => put_all(several, message, limit),
        })
    }
}

fn put(queue: &Arc<MemoryQueue>, message: &Message, limit: usize) -> Result<(), PublishError> {
    // Made before the lock is taken, under which nothing else should take time.
    let item = Item::new(Arc::new(message.clone()));
    let mut state = queue.lock();
    queue.check(&state, message)?;
    let offered = queue.offer(&mut state, item, limit);
    drop(state);
    concluded([(queue, offered)])
}

fn put_all(queues: &[Arc<MemoryQueue>], message: &Message, limit: usize) -> Result<(), PublishError> {
    let message = Arc::new(message.clone());
    let mut states: Vec<_> = queues.iter().map(|queue| queue.lock()).collect();
    for (queue, state) in queues.iter().zip(&states) {
        queue.check(state, &message)?;
    }
    let offered = queues.iter().zip(&mut states);
    let offered: Vec<_> = offered
        .map(|(queue, state)| queue.offer(state, Item::new(Arc::clone(&message)), limit))
        .collect();
    drop(states);
    concluded(queues.iter().zip(offered))
}

/// Does what is left to do when no queue is locked. One that is full keeps no other from its copy.
fn concluded<'a>(
    offered: impl IntoIterator<Item = (&'a Arc<MemoryQueue>, Offered)>,
) -> Result<(), PublishError> {
    let (mut taken, mut first_full) = (0, None);
    for (queue, offered) in offered {
        match offered {
            Offered::Taken(after) => {
                taken += 1;
                queue.finish(after);
            }
            Offered::Full { waiting, is_new } => {
                if is_new {
                    queue.warn_full(waiting);
                }
                first_full.get_or_insert((queue, waiting));
            }
        }
    }
    match first_full {
        None => Ok(()),
        Some((queue, waiting)) => Err(PublishError::ChannelFull {
            channel: queue.name.clone(),
            waiting,
            others: taken,
        }),
    }
}

/// Refuses limits that are of no use.
fn check_limits(channel: &Channel) -> Result<(), ChannelError> {
    if channel.limits.priorities == Some(0) {
        let name = &channel.name;
        return Err(ChannelError::Refused {
            reason: format!(
                "the highest priority of channel `{name}` is 0, with which it would be of no use: say 1 or more, or \
                 nothing"
            ),
        });
    }
    Ok(())
}
