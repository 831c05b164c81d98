//! [`FullTopics`]: the topics that a full channel refuses.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::processor::health::FullChannel;
use brighter_core::channel::PublishError;
use brighter_core::message::{ChannelName, RoutingKey};

/// How many topics are remembered; a program with more that are refused at once knows without them.
const REMEMBERED: usize = 1_000;

/// The topics that a full channel refused the last time, each until a message of it was taken by all.
#[derive(Debug, Default)]
pub(in super::super) struct FullTopics {
    topics: Mutex<BTreeMap<RoutingKey, FullTopic>>,
    /// Whether there are any, on the way of every message.
    any: AtomicBool,
}

#[derive(Debug)]
struct FullTopic {
    channel: ChannelName,
    waiting: u64,
    since: Instant,
}

impl FullTopics {
    /// Returns whether no topic is refused.
    pub(super) fn are_none(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Notes what became of a message of this topic.
    pub(super) fn note(&self, topic: &RoutingKey, result: Result<(), &PublishError>) {
        match result {
            Ok(()) if self.are_none() => {}
            Ok(()) => {
                let mut topics = self.lock();
                topics.remove(topic);
                self.any.store(!topics.is_empty(), Ordering::Relaxed);
            }
            Err(PublishError::ChannelFull { channel, waiting, .. }) => {
                let mut topics = self.lock();
                if let Some(refusal) = topics.get_mut(topic)
                    && refusal.channel == *channel
                {
                    refusal.waiting = *waiting;
                } else if topics.len() < REMEMBERED || topics.contains_key(topic) {
                    let refusal = FullTopic {
                        channel: channel.clone(),
                        waiting: *waiting,
                        since: Instant::now(),
                    };
                    topics.insert(topic.clone(), refusal);
                }
                self.any.store(true, Ordering::Relaxed);
            }
            Err(_) => {}
        }
    }

    /// Returns them, in the order of their topics.
    pub(in super::super) fn list(&self) -> Vec<FullChannel> {
        let topics = self.lock();
        let listed = topics.iter().map(|(topic, refusal)| FullChannel {
            channel: refusal.channel.clone(),
            topic: topic.clone(),
            waiting: refusal.waiting,
            seconds: refusal.since.elapsed().as_secs_f64(),
        });
        listed.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RoutingKey, FullTopic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
