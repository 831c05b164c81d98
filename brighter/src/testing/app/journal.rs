//! The [`Journal`] of a test application: what happened, in its order, and what is still under way.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::mistake;
use crate::in_memory::broker::{Departure, Watcher};
use crate::pipeline::Observer;
use brighter_core::channel::{PublishError, rejection_headers};
use brighter_core::error::HandlerError;
use brighter_core::id::MessageId;
use brighter_core::message::{ChannelName, Message};

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) struct JournalEntry {
    /// Since the application was started.
    pub(crate) at: Duration,
    pub(crate) message: Option<Arc<Message>>,
    pub(crate) what: What,
}

/// An event of the journal.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A copy of it arrived in a channel.
    Posted { channel: ChannelName },
    /// The broker did not take it.
    NotPublished { error: String },
    /// A performer has it.
    Delivered { channel: ChannelName, attempt: u32 },
    /// A handler succeeded.
    Handled {
        handler: &'static str,
        request: &'static str,
    },
    /// A handler failed.
    Failed {
        handler: &'static str,
        request: &'static str,
        error: String,
    },
    /// The message was acked.
    Acked { channel: ChannelName },
    /// The message was given back as it was.
    Returned { channel: ChannelName },
    /// The message comes again.
    Deferred { channel: ChannelName, delay: Duration },
    /// The message went to a dead-letter or an invalid-message channel.
    SetAside {
        channel: ChannelName,
        kind: String,
        reason: String,
    },
    /// The test did something to the broker.
    Note { text: &'static str },
}

/// The events, and the messages that are still under way.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
    /// Whether a handler that panics is handled as in production, and does not end the test.
    pub(super) allows_panics: AtomicBool,
    changed: Notify,
    began: Instant,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<JournalEntry>,
    /// Copies that are not done with, by channel. Those in channels that nobody consumes are parked there.
    live: HashMap<ChannelName, HashMap<MessageId, usize>>,
    consumed: HashSet<ChannelName>,
    /// The messages that the broker itself would not take, which the outbox keeps and sends again later.
    refused: HashSet<MessageId>,
    /// A handler that no further attempt can help, and why.
    hopeless: Option<(&'static str, String)>,
    /// The cause of each message.
    causes: HashMap<MessageId, MessageId>,
    /// How often anything of this was changed.
    version: u64,
}

impl Journal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            allows_panics: AtomicBool::new(false),
            changed: Notify::new(),
            began: Instant::now(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and tells those who wait.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.version += 1;
        drop(state);
        self.changed.notify_waiters();
    }

    fn enter(&self, message: Option<&Message>, what: What) {
        let entry = JournalEntry {
            at: self.began.elapsed(),
            message: message.cloned().map(Arc::new),
            what,
        };
        self.change(|state| state.entries.push(entry));
    }

    pub(crate) fn note(&self, text: &'static str) {
        self.enter(None, What::Note { text });
    }

    pub(crate) fn not_published(&self, message: &Message, error: &PublishError) {
        if !error.is_outage() {
            self.change(|state| {
                state.refused.insert(message.header.id.clone());
            });
        }
        let error = brighter_core::__private::report(error);
        self.enter(Some(message), What::NotPublished { error });
    }

    /// How many messages the broker has refused that were not taken since.
    pub(super) fn refused(&self) -> u64 {
        self.lock().refused.len() as u64
    }

    /// The handler that can never succeed, and its error.
    pub(super) fn hopeless(&self) -> Option<(&'static str, String)> {
        self.lock().hopeless.clone()
    }

    /// Notes the handler, if no further attempt can mend this.
    fn find_hopeless(&self, handler: &'static str, error: &HandlerError) {
        let panicked = || {
            let said = mistake::panic(error)?;
            let allowed = self.allows_panics.load(Ordering::Relaxed);
            (!allowed).then(|| format!("panicked: {said}"))
        };
        let why = mistake::mistake(error)
            .map(|said| format!("fails however often it is called: {said}"))
            .or_else(panicked);
        if let Some(why) = why {
            self.change(|state| {
                state.hopeless.get_or_insert((handler, why));
            });
        }
    }

    /// The channel has a consumer: what is in it will be handled.
    pub(crate) fn consumed(&self, channel: &ChannelName) {
        self.change(|state| {
            state.consumed.insert(channel.clone());
        });
    }

    /// Notified after every change.
    pub(crate) fn changed(&self) -> &Notify {
        &self.changed
    }

    pub(crate) fn entries(&self) -> Vec<JournalEntry> {
        self.lock().entries.clone()
    }

    /// How many messages are in dead-letter or invalid-message channels.
    pub(crate) fn set_aside(&self) -> usize {
        let is_set_aside = |entry: &&JournalEntry| matches!(entry.what, What::SetAside { .. });
        self.lock().entries.iter().filter(is_set_aside).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// The copies that are not done with, each with its channel.
    pub(super) fn live_copies(&self) -> Vec<(ChannelName, MessageId)> {
        let state = self.lock();
        let consumed = state
            .live
            .iter()
            .filter(|(channel, _)| state.consumed.contains(*channel));
        consumed
            .flat_map(|(channel, messages)| messages.keys().map(|id| (channel.clone(), id.clone())))
            .collect()
    }

    /// How many copies are not done with, of the messages that were caused by this one, it included; or of all.
    /// With the version that this is true of.
    pub(crate) fn live(&self, cause: Option<&MessageId>) -> (usize, u64) {
        let state = self.lock();
        let consumed = state
            .live
            .iter()
            .filter(|(channel, _)| state.consumed.contains(*channel));
        let counts = consumed
            .flat_map(|(_, messages)| messages)
            .filter(|(id, _)| cause.is_none_or(|cause| state.is_caused_by(id, cause)));
        (counts.map(|(_, count)| count).sum(), state.version)
    }
}

impl State {
    fn is_caused_by(&self, id: &MessageId, cause: &MessageId) -> bool {
        let mut seen = HashSet::new();
        let mut id = id;
        while id != cause {
            // Ids are anybody's, so that there may be a circle.
            if !seen.insert(id) {
                return false;
            }
            let Some(next) = self.causes.get(id) else {
                return false;
            };
            id = next;
        }
        true
    }
}

fn text(message: &Message, header: &str) -> String {
    let value = message.header.bag.get(header);
    value
        .and_then(|value| value.as_str())
        .unwrap_or_default()
        .to_owned()
}

impl Watcher for Journal {
    fn arrived(&self, channel: &ChannelName, message: &Message, moved: bool) {
        let (id, channel) = (message.header.id.clone(), channel.clone());
        self.change(|state| {
            if let Some(cause) = &message.header.causation_id {
                state.causes.insert(id.clone(), cause.clone());
            }
            if !moved {
                state.refused.remove(&id);
            }
            let live = state.live.entry(channel.clone()).or_default();
            *live.entry(id).or_default() += 1;
        });
        let what = if moved {
            What::SetAside {
                channel,
                kind: text(message, rejection_headers::REASON),
                reason: text(message, rejection_headers::MESSAGE),
            }
        } else {
            What::Posted { channel }
        };
        self.enter(Some(message), what);
    }

    fn delivered(&self, channel: &ChannelName, message: &Message) {
        let channel = channel.clone();
        let attempt = message.header.handled_count.saturating_add(1);
        self.enter(Some(message), What::Delivered { channel, attempt });
    }

    fn departed(&self, channel: &ChannelName, message: &Message, how: Departure) {
        let name = channel.clone();
        match how {
            Departure::Done => self.enter(Some(message), What::Acked { channel: name }),
            Departure::Returned => self.enter(Some(message), What::Returned { channel: name }),
            Departure::Again(delay) => {
                self.enter(Some(message), What::Deferred { channel: name, delay });
            }
            // Its arrival there is told already.
            Departure::Moved => {}
        }
        if matches!(how, Departure::Done | Departure::Moved) {
            self.change(|state| {
                let Some(live) = state.live.get_mut(channel) else {
                    return;
                };
                if let Some(copies) = live.get_mut(&message.header.id) {
                    *copies = copies.saturating_sub(1);
                    if *copies == 0 {
                        live.remove(&message.header.id);
                    }
                }
            });
        }
    }
}

impl Observer for Journal {
    fn called(
        &self,
        handler: &'static str,
        request: &'static str,
        id: Option<&MessageId>,
        error: Option<&HandlerError>,
    ) {
        // In process the sender has the error.
        if let (Some(_), Some(error)) = (id, error) {
            self.find_hopeless(handler, error);
        }
        // What arrived with that id is the message, where there was one.
        let message = id.and_then(|id| {
            let state = self.lock();
            let messages = state
                .entries
                .iter()
                .rev()
                .filter_map(|entry| entry.message.as_ref());
            messages
                .into_iter()
                .find(|message| message.header.id == *id)
                .cloned()
        });
        let what = match error {
            None => What::Handled { handler, request },
            Some(error) => What::Failed {
                handler,
                request,
                error: error.report(),
            },
        };
        self.enter(message.as_deref(), what);
    }

    fn recorded(&self) {
        self.change(|_| {});
    }
}
