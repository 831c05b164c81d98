//! The [`InMemoryOutbox`]: for tests, and for programs that may lose what they have not yet published.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::in_memory_transaction::InMemoryTransaction;
use super::scheduled::Scheduled;
use super::{
    Archive, Arrival, Arrivals, Bell, Claim, Claimed, DeadMessage, Failure, MessageState, Outbox,
    OutboxError, OutboxStatus, Selection,
};
use crate::id::MessageId;
use crate::message::{Message, RoutingKey};

/// How many messages may be outstanding unless [`InMemoryOutbox::with_limit`] says otherwise.
const DEFAULT_LIMIT: usize = 1_000_000;
/// How many dispatched messages are kept to be sent again.
const DISPATCHED_KEPT: usize = 10_000;
/// How much of an error is kept, in characters.
const ERROR_KEPT: usize = 2_000;

/// An outbox in the memory of this process: what it holds ends with the process.
///
/// A clone is the same outbox. At most a million messages may be outstanding, or as many as
/// [`with_limit`](Self::with_limit) says; the ten thousand dispatched last can still be read and sent again.
///
/// ```
/// use std::time::Duration;
/// use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
/// use brighter::outbox::{Claim, InMemoryOutbox, Outbox};
/// use brighter::MessageId;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let outbox = InMemoryOutbox::new();
/// let header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command);
/// outbox.deposit(&[Message::new(header, MessageBody::new("{}"))], None).await?;
///
/// let which = Claim::oldest(10, Duration::ZERO);
/// let claimed = outbox.claim(which, Duration::from_secs(30)).await?;
/// assert_eq!(claimed.len(), 1);
/// # Ok::<(), brighter::outbox::OutboxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct InMemoryOutbox {
    state: Arc<Mutex<State>>,
    bell: Bell,
    /// Tells those who wait in tests that something may have changed.
    #[cfg(feature = "testing")]
    changed: Arc<tokio::sync::Notify>,
    limit: usize,
}

impl InMemoryOutbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }

    /// An empty outbox that holds at most this many outstanding messages and then says
    /// [`OutboxError::Full`].
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            state: Arc::default(),
            bell: Bell::new(),
            #[cfg(feature = "testing")]
            changed: Arc::default(),
            limit,
        }
    }

    /// A transaction, whose deposits are in the outbox once it is committed.
    #[must_use = "a transaction that is dropped stores nothing"]
    pub fn begin(&self) -> InMemoryTransaction {
        InMemoryTransaction::new(self.clone())
    }

    /// How many messages are still to be sent, those not counted that the broker refused.
    #[cfg(feature = "testing")]
    pub(crate) fn unsent(&self) -> usize {
        let state = self.lock();
        let waiting = state.outstanding.values();
        waiting.filter(|waiting| waiting.attempts == 0).count()
    }

    /// Is notified when a message was sent or refused.
    #[cfg(feature = "testing")]
    pub(crate) fn changed(&self) -> &tokio::sync::Notify {
        &self.changed
    }

    /// Stores all of a transaction, or nothing.
    pub(super) fn store(
        &self,
        deposits: &[Message],
        scheduled: &[(Message, Instant)],
    ) -> Result<(), OutboxError> {
        let mut state = self.lock();
        state.check_scheduled(deposits, scheduled, self.limit)?;
        state.deposit(deposits, None, self.limit)?;
        for (message, due) in scheduled {
            state.schedule(message, *due, self.limit)?;
        }
        drop(state);
        self.bell.ring(Arrival::Here);
        Ok(())
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// No method of [`State`] can panic half way, so what a poisoned lock guards is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for InMemoryOutbox {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InMemoryOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("InMemoryOutbox")
            .field("outstanding", &state.outstanding.len())
            .field("dispatched", &state.dispatched.len())
            .field("limit", &self.limit)
            .finish()
    }
}

impl Outbox for InMemoryOutbox {
    fn deposit<'a>(
        &'a self,
        messages: &'a [Message],
        lease: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<MessageId>, OutboxError>> {
        Box::pin(async move {
            let known = self.lock().deposit(messages, lease, self.limit)?;
            if lease.is_none() {
                self.bell.ring(Arrival::Here);
            }
            Ok(known)
        })
    }

    fn schedule<'a>(
        &'a self,
        message: &'a Message,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        Box::pin(async move {
            let due = after(Instant::now(), delay);
            self.lock().schedule(message, due, self.limit)
        })
    }

    fn reschedule<'a>(
        &'a self,
        id: &'a MessageId,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        Box::pin(async move { Ok(self.lock().scheduled.reschedule(id, delay)) })
    }

    fn cancel<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<bool, OutboxError>> {
        Box::pin(async move { Ok(self.lock().scheduled.cancel(id)) })
    }

    fn make_due(&self, limit: usize) -> BoxFuture<'_, Result<u64, OutboxError>> {
        Box::pin(async move { Ok(self.lock().make_due(limit)) })
    }

    fn claim<'a>(
        &'a self,
        which: Claim<'a>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Vec<Claimed>, OutboxError>> {
        Box::pin(async move { Ok(self.lock().claim(which, lease)) })
    }

    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(async move {
            self.lock().mark_dispatched(ids);
            #[cfg(feature = "testing")]
            self.changed.notify_waiters();
            Ok(())
        })
    }

    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(async move {
            self.lock().mark_failed(failures);
            #[cfg(feature = "testing")]
            self.changed.notify_waiters();
            Ok(())
        })
    }

    fn release<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(async move {
            let mut state = self.lock();
            for id in ids {
                if let Some(waiting) = state.waiting_mut(id) {
                    waiting.claimed_until = None;
                }
            }
            Ok(())
        })
    }

    fn replay<'a>(&'a self, causation: &'a MessageId) -> BoxFuture<'a, Result<u64, OutboxError>> {
        Box::pin(async move {
            let replayed = self.lock().replay(causation, self.limit)?;
            self.bell.ring(Arrival::Here);
            Ok(replayed)
        })
    }

    fn get<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<Vec<Message>, OutboxError>> {
        Box::pin(async move {
            let state = self.lock();
            Ok(ids.iter().filter_map(|id| state.get(id).cloned()).collect())
        })
    }

    fn state<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<Option<MessageState>, OutboxError>> {
        Box::pin(async move { Ok(self.lock().how_far(id)) })
    }

    fn status(&self) -> BoxFuture<'_, Result<OutboxStatus, OutboxError>> {
        Box::pin(async move {
            let state = self.lock();
            let oldest = state.outstanding.values().next();
            let status = OutboxStatus::new(
                state.outstanding.len() as u64,
                oldest.map(|waiting| waiting.deposited.elapsed()),
            );
            let status = status.with_scheduled(state.scheduled.len() as u64);
            Ok(status.with_dead(state.dead.len() as u64))
        })
    }

    fn dead(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeadMessage>, OutboxError>> {
        Box::pin(async move {
            let state = self.lock();
            Ok(state.dead.values().take(limit).map(Waiting::obituary).collect())
        })
    }

    fn revive<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<u64, OutboxError>> {
        Box::pin(async move {
            let revived = self.lock().revive(ids);
            self.bell.ring(Arrival::Here);
            Ok(revived)
        })
    }

    fn send_again<'a>(&'a self, which: &'a Selection) -> BoxFuture<'a, Result<u64, OutboxError>> {
        Box::pin(async move {
            let again = self.lock().send_again(which, self.limit)?;
            self.bell.ring(Arrival::Here);
            Ok(again)
        })
    }

    /// What is archived is gone, whether it was to be kept or not: there is nowhere else.
    fn archive<'a>(&'a self, what: &'a Archive) -> BoxFuture<'a, Result<u64, OutboxError>> {
        Box::pin(async move { Ok(self.lock().archive(what)) })
    }

    fn arrivals(&self) -> Option<Arrivals> {
        Some(self.bell.arrivals())
    }
}

#[derive(Default)]
struct State {
    places: HashMap<MessageId, Place>,
    /// By the order of their deposit.
    outstanding: BTreeMap<u64, Waiting>,
    /// By the order of their deposit.
    dead: BTreeMap<u64, Waiting>,
    scheduled: Scheduled,
    /// By the order in which they were dispatched, to forget the oldest; nothing in the place of one that was taken
    /// out.
    dispatched: VecDeque<Option<Dispatched>>,
    /// How many of those were forgotten: the number of the first that was not.
    forgotten: u64,
    deposited: u64,
}

struct Dispatched {
    message: Message,
    deposited_at: SystemTime,
    when: Instant,
}

enum Place {
    Outstanding(u64),
    Dead(u64),
    Dispatched(u64),
}

struct Waiting {
    message: Message,
    deposited: Instant,
    deposited_at: SystemTime,
    attempts: u32,
    last_error: Option<String>,
    not_before: Option<Instant>,
    claimed_until: Option<Instant>,
    /// Says something only of the dead.
    died: Instant,
}

impl Waiting {
    fn obituary(&self) -> DeadMessage {
        let header = &self.message.header;
        let last_error = self.last_error.clone().unwrap_or_default();
        DeadMessage::new(header.id.clone(), header.topic.clone(), self.attempts, last_error)
    }

    fn topic(&self) -> &RoutingKey {
        &self.message.header.topic
    }

    fn is_free(&self, now: Instant) -> bool {
        self.claimed_until.is_none_or(|end| end <= now)
    }

    fn is_due(&self, now: Instant, min_age: Duration) -> bool {
        self.is_free(now)
            && self.not_before.is_none_or(|start| start <= now)
            && now.duration_since(self.deposited) >= min_age
    }
}

impl State {
    fn deposit(
        &mut self,
        messages: &[Message],
        lease: Option<Duration>,
        limit: usize,
    ) -> Result<Vec<MessageId>, OutboxError> {
        let now = Instant::now();
        let claimed_until = lease.map(|lease| after(now, lease));
        // The usual case: nothing to gather, and nothing to compare with but what is held.
        if let [message] = messages {
            let id = &message.header.id;
            return match self.get(id) {
                Some(held) if held.is_same(message) => Ok(vec![id.clone()]),
                Some(_) => Err(OutboxError::IdInUse { id: id.clone() }),
                None => {
                    self.check_room(1, limit)?;
                    self.add(message.clone(), now, claimed_until);
                    Ok(Vec::new())
                }
            };
        }
        let (mut new, mut known) = (Vec::new(), Vec::new());
        let mut among_new: HashMap<&MessageId, &Message> = HashMap::new();
        for message in messages {
            let id = &message.header.id;
            match self.get(id).or(among_new.get(id).copied()) {
                None => {
                    among_new.insert(id, message);
                    new.push(message);
                }
                Some(held) if held.is_same(message) => known.push(id.clone()),
                Some(_) => return Err(OutboxError::IdInUse { id: id.clone() }),
            }
        }
        self.check_room(new.len(), limit)?;
        for message in new {
            self.add(message.clone(), now, claimed_until);
        }
        Ok(known)
    }

    fn schedule(&mut self, message: &Message, due: Instant, limit: usize) -> Result<bool, OutboxError> {
        let id = &message.header.id;
        match self.get(id) {
            Some(held) if held.is_same(message) => Ok(false),
            Some(_) => Err(OutboxError::IdInUse { id: id.clone() }),
            None => {
                self.check_room(1, limit)?;
                self.scheduled.add(message.clone(), due);
                Ok(true)
            }
        }
    }

    /// Whether all of a transaction can be stored, as far as its deposits do not say so.
    fn check_scheduled(
        &self,
        deposits: &[Message],
        scheduled: &[(Message, Instant)],
        limit: usize,
    ) -> Result<(), OutboxError> {
        if scheduled.is_empty() {
            return Ok(());
        }
        self.check_room(deposits.len() + scheduled.len(), limit)?;
        for (index, (message, _)) in scheduled.iter().enumerate() {
            let id = &message.header.id;
            let before = scheduled[..index].iter().map(|(before, _)| before);
            let mut others = deposits.iter().chain(before).chain(self.get(id));
            if others.any(|other| other.header.id == *id && !other.is_same(message)) {
                return Err(OutboxError::IdInUse { id: id.clone() });
            }
        }
        Ok(())
    }

    fn make_due(&mut self, limit: usize) -> u64 {
        let (due, now) = (self.scheduled.take_due(limit), Instant::now());
        let count = due.len() as u64;
        for message in due {
            self.add(message, now, None);
        }
        count
    }

    fn check_room(&self, wanted: usize, limit: usize) -> Result<(), OutboxError> {
        // The dead take room too, until they are revived and sent.
        if wanted > limit.saturating_sub(self.outstanding.len() + self.dead.len() + self.scheduled.len()) {
            let reason = format!("at most {limit} messages may be outstanding, scheduled or dead");
            return Err(OutboxError::Full(reason.into()));
        }
        Ok(())
    }

    fn add(&mut self, message: Message, deposited: Instant, claimed_until: Option<Instant>) {
        self.deposited += 1;
        let place = Place::Outstanding(self.deposited);
        self.places.insert(message.header.id.clone(), place);
        let waiting = Waiting {
            message,
            deposited,
            deposited_at: SystemTime::now(),
            died: deposited,
            attempts: 0,
            last_error: None,
            not_before: None,
            claimed_until,
        };
        self.outstanding.insert(self.deposited, waiting);
    }

    fn replay(&mut self, causation: &MessageId, limit: usize) -> Result<u64, OutboxError> {
        let is_caused = |it: &Dispatched| it.message.header.causation_id.as_ref() == Some(causation);
        let held = self.dispatched.iter().flatten();
        self.check_room(held.filter(|it| is_caused(it)).count(), limit)?;
        let slots = self.dispatched.iter_mut();
        let caused: Vec<_> = slots
            .filter_map(|slot| slot.take_if(|it| is_caused(it)))
            .collect();
        Ok(self.outstanding_again(caused))
    }

    fn send_again(&mut self, which: &Selection, limit: usize) -> Result<u64, OutboxError> {
        let (since, before) = (which.since, which.before);
        let is_wanted = |message: &Message, deposited_at: SystemTime| {
            let topic = which.topic.as_ref();
            topic.is_none_or(|topic| message.header.topic == *topic)
                && since.is_none_or(|since| deposited_at >= since)
                && before.is_none_or(|before| deposited_at < before)
        };
        if which.dead {
            let dead = self.dead.values();
            let dead = dead
                .filter(|dead| is_wanted(&dead.message, dead.deposited_at))
                .take(which.limit);
            let ids: Vec<_> = dead.map(|dead| dead.message.header.id.clone()).collect();
            return Ok(self.revive(&ids));
        }
        let is_wanted = |slot: &Option<Dispatched>| {
            let wanted = slot.as_ref();
            wanted.is_some_and(|it| is_wanted(&it.message, it.deposited_at))
        };
        let slots = self.dispatched.iter().enumerate();
        let mut wanted: Vec<_> = slots
            .filter(|(_, slot)| is_wanted(slot))
            .map(|(index, slot)| (slot.as_ref().map(|it| it.deposited_at), index))
            .collect();
        wanted.sort_unstable();
        wanted.truncate(which.limit);
        self.check_room(wanted.len(), limit)?;
        let slots = wanted.into_iter();
        let again: Vec<_> = slots
            .filter_map(|(_, index)| self.dispatched[index].take())
            .collect();
        Ok(self.outstanding_again(again))
    }

    /// Makes these outstanding that were dispatched, and says how many they are.
    fn outstanding_again(&mut self, dispatched: Vec<Dispatched>) -> u64 {
        let (now, count) = (Instant::now(), dispatched.len() as u64);
        for it in dispatched {
            self.add(it.message, now, None);
        }
        count
    }

    fn archive(&mut self, what: &Archive) -> u64 {
        let mut gone = Vec::new();
        if let Some(age) = what.dispatched {
            let slots = self.dispatched.iter_mut();
            let old = slots.filter_map(|slot| slot.take_if(|it| it.when.elapsed() >= age));
            gone.extend(old.take(what.limit).map(|it| it.message.header.id));
        }
        if let Some(age) = what.dead {
            let left = what.limit - gone.len();
            let dead = self.dead.values();
            let old = dead.filter(|dead| dead.died.elapsed() >= age).take(left);
            gone.extend(old.map(|dead| dead.message.header.id.clone()));
        }
        for id in &gone {
            if let Some(Place::Dead(number)) = self.places.remove(id) {
                self.dead.remove(&number);
            }
        }
        gone.len() as u64
    }

    fn claim(&mut self, which: Claim<'_>, lease: Duration) -> Vec<Claimed> {
        let now = Instant::now();
        let chosen: Vec<u64> = match which {
            Claim::Ids { ids, except } => {
                let mut chosen: Vec<u64> = ids.iter().filter_map(|id| self.number(id)).collect();
                chosen.sort_unstable();
                chosen.dedup();
                let is_free = |it: &Waiting| it.is_free(now) && !except.contains(it.topic());
                chosen.retain(|number| self.outstanding.get(number).is_some_and(is_free));
                chosen
            }
            Claim::Oldest {
                limit,
                min_age,
                except,
            } => self
                .outstanding
                .iter()
                .filter(|(_, waiting)| waiting.is_due(now, min_age) && !except.contains(waiting.topic()))
                .map(|(number, _)| *number)
                .take(limit)
                .collect(),
            Claim::OfTopic {
                topic,
                limit,
                min_age,
            } => self
                .of_topic(topic)
                .filter(|(_, waiting)| waiting.is_due(now, min_age))
                .map(|(number, _)| *number)
                .take(limit)
                .collect(),
            Claim::InOrder {
                topic,
                limit,
                min_age,
            } => self
                .of_topic(topic)
                .take_while(|(_, waiting)| waiting.is_due(now, min_age))
                .map(|(number, _)| *number)
                .take(limit)
                .collect(),
        };
        let mut claimed = Vec::with_capacity(chosen.len());
        for number in chosen {
            if let Some(waiting) = self.outstanding.get_mut(&number) {
                waiting.claimed_until = Some(after(now, lease));
                claimed.push(Claimed::new(waiting.message.clone(), waiting.attempts));
            }
        }
        claimed
    }

    fn of_topic<'a>(&'a self, topic: &'a RoutingKey) -> impl Iterator<Item = (&'a u64, &'a Waiting)> {
        let all = self.outstanding.iter();
        all.filter(move |(_, waiting)| waiting.topic() == topic)
    }

    fn mark_dispatched(&mut self, ids: &[MessageId]) {
        for id in ids {
            let Some(place) = self.places.get_mut(id) else {
                continue;
            };
            let Place::Outstanding(number) = place else {
                continue;
            };
            let Some(waiting) = self.outstanding.remove(number) else {
                continue;
            };
            *place = Place::Dispatched(self.forgotten + self.dispatched.len() as u64);
            self.dispatched.push_back(Some(Dispatched {
                message: waiting.message,
                deposited_at: waiting.deposited_at,
                when: Instant::now(),
            }));
            if self.dispatched.len() > DISPATCHED_KEPT
                && let Some(oldest) = self.dispatched.pop_front()
            {
                self.forgotten += 1;
                if let Some(oldest) = oldest {
                    self.places.remove(&oldest.message.header.id);
                }
            }
        }
    }

    fn mark_failed(&mut self, failures: &[Failure]) {
        let now = Instant::now();
        for failure in failures {
            if let Some(waiting) = self.waiting_mut(&failure.id) {
                waiting.attempts = waiting.attempts.saturating_add(1);
                waiting.last_error = Some(failure.error.chars().take(ERROR_KEPT).collect());
                waiting.not_before = Some(after(now, failure.retry_after));
                waiting.claimed_until = None;
                if failure.is_last {
                    self.bury(&failure.id);
                }
            }
        }
    }

    fn bury(&mut self, id: &MessageId) {
        if let Some(number) = self.number(id)
            && let Some(mut waiting) = self.outstanding.remove(&number)
        {
            waiting.died = Instant::now();
            self.dead.insert(number, waiting);
            self.places.insert(id.clone(), Place::Dead(number));
        }
    }

    fn revive(&mut self, ids: &[MessageId]) -> u64 {
        let mut revived = 0;
        for id in ids {
            let Some(Place::Dead(number)) = self.places.get(id) else {
                continue;
            };
            let number = *number;
            if let Some(mut waiting) = self.dead.remove(&number) {
                (waiting.attempts, waiting.last_error, waiting.not_before) = (0, None, None);
                self.outstanding.insert(number, waiting);
                self.places.insert(id.clone(), Place::Outstanding(number));
                revived += 1;
            }
        }
        revived
    }

    fn get(&self, id: &MessageId) -> Option<&Message> {
        let Some(place) = self.places.get(id) else {
            return self.scheduled.get(id);
        };
        match place {
            Place::Outstanding(number) => self.outstanding.get(number).map(|waiting| &waiting.message),
            Place::Dead(number) => self.dead.get(number).map(|waiting| &waiting.message),
            Place::Dispatched(number) => {
                let slot = usize::try_from(number.checked_sub(self.forgotten)?).ok()?;
                self.dispatched.get(slot)?.as_ref().map(|it| &it.message)
            }
        }
    }

    fn how_far(&self, id: &MessageId) -> Option<MessageState> {
        let Some(place) = self.places.get(id) else {
            return self.scheduled.due_in(id).map(MessageState::scheduled);
        };
        match place {
            Place::Outstanding(number) => self
                .outstanding
                .get(number)
                .map(|waiting| MessageState::outstanding(waiting.attempts, waiting.last_error.clone())),
            Place::Dead(number) => self
                .dead
                .get(number)
                .map(|waiting| MessageState::dead(waiting.attempts, waiting.last_error.clone())),
            Place::Dispatched(_) => Some(MessageState::Dispatched),
        }
    }

    fn number(&self, id: &MessageId) -> Option<u64> {
        match self.places.get(id)? {
            Place::Outstanding(number) => Some(*number),
            Place::Dead(_) | Place::Dispatched(_) => None,
        }
    }

    fn waiting_mut(&mut self, id: &MessageId) -> Option<&mut Waiting> {
        self.outstanding.get_mut(&self.number(id)?)
    }
}

/// A time so far ahead that the clock cannot say it is as good as never.
pub(super) fn after(now: Instant, time: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    now + time.min(NEVER)
}
