//! The messages of an [`InMemoryOutbox`](super::InMemoryOutbox), and how far each has come.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use super::entry::{EntryState, OutboxEntry};
use super::scheduled::Scheduled;
use super::unique_keys::{KeyState, UniqueKeys};
use brighter_core::__private::clock::after;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{
    Archive, Claim, Claimed, Failure, MessageState, OutboxError, Selection, UniqueDeposit, UniqueKey,
};

/// How many dispatched messages are kept to be sent again.
const DISPATCHED_KEPT: usize = 10_000;
/// How much of an error is kept, in characters.
const ERROR_KEPT: usize = 2_000;

#[derive(Default)]
pub(super) struct State {
    /// Each stays where it is put, whatever becomes of it; the tables say where.
    held: Slab<OutboxEntry>,
    keys: HashMap<MessageId, usize>,
    /// By the order of their deposit.
    outstanding: BTreeMap<u64, usize>,
    /// By the order of their deposit.
    dead: BTreeMap<u64, usize>,
    pub(super) scheduled: Scheduled,
    /// By the order in which they were dispatched, to forget the oldest; nothing in the place of one that was taken
    /// out.
    dispatched: VecDeque<Option<usize>>,
    pub(super) unique: UniqueKeys,
    deposited: u64,
}

impl State {
    pub(super) fn deposit(
        &mut self,
        messages: &[Message],
        lease: Option<Duration>,
        limit: usize,
    ) -> Result<Vec<MessageId>, OutboxError> {
        let now = Instant::now();
        let claimed_until = lease.map(|lease| after(now, lease));
        // The usual case: looked up once, with nothing to gather.
        if let [message] = messages
            && self.scheduled.is_empty()
            && self.check_room(1, limit).is_ok()
        {
            let Some(held) = self.add(message, now, claimed_until) else {
                return Ok(Vec::new());
            };
            let id = message.header.id.clone();
            return if held.message.is_same(message) {
                Ok(vec![id])
            } else {
                Err(OutboxError::IdInUse { id })
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
            self.add(message, now, claimed_until);
        }
        Ok(known)
    }

    pub(super) fn schedule(
        &mut self,
        message: &Message,
        due: Instant,
        limit: usize,
    ) -> Result<bool, OutboxError> {
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

    /// Stores a message, and takes its key, unless another message holds it. `None`, if a transaction that has not ended
    /// does.
    pub(super) fn deposit_unique(
        &mut self,
        message: &Message,
        key: &UniqueKey,
        delay: Option<Duration>,
        lease: Option<Duration>,
        limit: usize,
    ) -> Option<Result<UniqueDeposit, OutboxError>> {
        let (id, now) = (&message.header.id, Instant::now());
        match self.unique.look(key, id, now) {
            KeyState::Pending => return None,
            KeyState::Held(held) => return Some(Ok(held)),
            KeyState::Free => {}
        }
        let taken = match self.unique.take(key, id, now, false, limit) {
            Ok(taken) => taken,
            Err(error) => return Some(Err(error)),
        };
        let stored = match delay {
            None => {
                let known = self.deposit(std::slice::from_ref(message), lease, limit);
                known.map(|known| known.is_empty())
            }
            Some(delay) => self.schedule(message, after(now, delay), limit),
        };
        if stored.is_err() && taken {
            self.unique.end(key, false);
        }
        Some(stored.map(|is_new| UniqueDeposit::Stored { is_new }))
    }

    /// Stores all of a transaction, or nothing: what it cancelled makes room for what it deposited.
    pub(super) fn store(
        &mut self,
        deposits: &[Message],
        scheduled: &[(Message, Instant)],
        changes: &[(MessageId, Option<Instant>)],
        limit: usize,
    ) -> Result<(), OutboxError> {
        let mut changed = Vec::with_capacity(changes.len());
        for (id, due) in changes {
            changed.extend(self.scheduled.take(id).map(|was| (was, *due)));
        }
        let kept = changed.iter().filter(|(_, due)| due.is_some()).count();
        let stored = self.store_new(deposits, scheduled, limit.saturating_sub(kept));
        for ((message, was), due) in changed {
            match (&stored, due) {
                (Ok(()), None) => {}
                (Ok(()), Some(due)) => self.scheduled.add(message, due),
                (Err(_), _) => self.scheduled.add(message, was),
            }
        }
        stored
    }

    fn store_new(
        &mut self,
        deposits: &[Message],
        scheduled: &[(Message, Instant)],
        limit: usize,
    ) -> Result<(), OutboxError> {
        self.check_scheduled(deposits, scheduled, limit)?;
        self.deposit(deposits, None, limit)?;
        for (message, due) in scheduled {
            self.schedule(message, *due, limit)?;
        }
        Ok(())
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

    pub(super) fn make_due(&mut self, limit: usize) -> u64 {
        let (due, now) = (self.scheduled.take_due(limit), Instant::now());
        let count = due.len() as u64;
        for message in due {
            self.add(&message, now, None);
        }
        count
    }

    pub(super) fn check_room(&self, wanted: usize, limit: usize) -> Result<(), OutboxError> {
        // The dead take room too, until they are revived and sent.
        if wanted > limit.saturating_sub(self.outstanding.len() + self.dead.len() + self.scheduled.len()) {
            let reason = format!("at most {limit} messages may be outstanding, scheduled or dead");
            return Err(OutboxError::Full(reason.into()));
        }
        Ok(())
    }

    /// Makes a message outstanding, unless one of its id is held: then gives that one.
    fn add(
        &mut self,
        message: &Message,
        deposited: Instant,
        claimed_until: Option<Instant>,
    ) -> Option<&OutboxEntry> {
        match self.keys.entry(message.header.id.clone()) {
            Entry::Occupied(entry) => self.held.get(*entry.get()),
            Entry::Vacant(entry) => {
                self.deposited += 1;
                // Copied here and not by the caller, so that it is written once where it stays.
                let held = OutboxEntry::new(message.clone(), self.deposited, deposited, claimed_until);
                let key = *entry.insert(self.held.insert(held));
                self.outstanding.insert(self.deposited, key);
                None
            }
        }
    }

    pub(super) fn replay(&mut self, causation: &MessageId, limit: usize) -> Result<u64, OutboxError> {
        let dispatched = self.dispatched();
        let caused = dispatched.filter(|(_, held)| held.is_caused_by(causation));
        let caused = caused.map(|(slot, _)| slot).collect();
        self.dispatched_again(caused, limit)
    }

    pub(super) fn send_again(&mut self, which: &Selection, limit: usize) -> Result<u64, OutboxError> {
        let (since, before) = (which.since, which.before);
        let is_wanted = |held: &OutboxEntry| {
            let topic = which.topic.as_ref();
            topic.is_none_or(|topic| held.topic() == topic)
                && since.is_none_or(|since| held.deposited_at >= since)
                && before.is_none_or(|before| held.deposited_at < before)
        };
        if which.dead {
            let dead = self.dead().filter(|(_, held)| is_wanted(held)).take(which.limit);
            let ids: Vec<_> = dead.map(|(_, held)| held.message.header.id.clone()).collect();
            return Ok(self.revive(&ids));
        }
        let dispatched = self.dispatched().filter(|(_, held)| is_wanted(held));
        let mut wanted: Vec<_> = dispatched.map(|(slot, held)| (held.deposited_at, slot)).collect();
        wanted.sort_unstable();
        wanted.truncate(which.limit);
        self.dispatched_again(wanted.into_iter().map(|(_, slot)| slot).collect(), limit)
    }

    /// Makes these outstanding that were dispatched, and says how many they are.
    fn dispatched_again(&mut self, slots: Vec<usize>, limit: usize) -> Result<u64, OutboxError> {
        self.check_room(slots.len(), limit)?;
        let (now, count) = (Instant::now(), slots.len() as u64);
        for slot in slots {
            if let Some(held) = self.take_dispatched(slot) {
                // As one that was deposited now.
                self.add(&held.message, now, None);
            }
        }
        Ok(count)
    }

    fn take_dispatched(&mut self, slot: usize) -> Option<OutboxEntry> {
        let key = self.dispatched.get_mut(slot)?.take()?;
        self.forget(key)
    }

    fn forget(&mut self, key: usize) -> Option<OutboxEntry> {
        let held = self.held.try_remove(key)?;
        self.keys.remove(&held.message.header.id);
        Some(held)
    }

    pub(super) fn archive(&mut self, what: &Archive) -> u64 {
        let mut gone = 0;
        if let Some(age) = what.dispatched {
            let is_old = |held: &OutboxEntry| matches!(held.place, EntryState::Dispatched { since, .. } if since.elapsed() >= age);
            let old = self
                .dispatched()
                .filter(|(_, held)| is_old(held))
                .take(what.limit);
            let old: Vec<_> = old.map(|(slot, _)| slot).collect();
            gone += old.len();
            for slot in old {
                self.take_dispatched(slot);
            }
        }
        if let Some(age) = what.dead {
            let is_old = |held: &OutboxEntry| matches!(held.place, EntryState::Dead { since, .. } if since.elapsed() >= age);
            let old = self.dead.iter().filter_map(|(number, key)| {
                let held = self.held.get(*key)?;
                is_old(held).then_some((*number, *key))
            });
            let old: Vec<_> = old.take(what.limit - gone).collect();
            gone += old.len();
            for (number, key) in old {
                self.dead.remove(&number);
                self.forget(key);
            }
        }
        self.unique.forget_ended(Instant::now());
        gone as u64
    }

    /// Oldest first, each with its key.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = (usize, &OutboxEntry)> {
        self.of(&self.outstanding)
    }

    /// Returns those outstanding that may be old enough. A message behind one that is too young was deposited after it,
    /// so a sweep does not walk over all that still have to wait.
    fn old(&self, now: Instant, min_age: Duration) -> impl Iterator<Item = (usize, &OutboxEntry)> {
        self.outstanding()
            .take_while(move |(_, held)| !held.is_young(now, min_age))
    }

    /// Dead entries, each with its position.
    pub(super) fn dead(&self) -> impl Iterator<Item = (usize, &OutboxEntry)> {
        self.of(&self.dead)
    }

    fn of<'a>(&'a self, table: &'a BTreeMap<u64, usize>) -> impl Iterator<Item = (usize, &'a OutboxEntry)> {
        let keys = table.values();
        keys.filter_map(|key| Some((*key, self.held.get(*key)?)))
    }

    /// How many are outstanding, dispatched and dead.
    pub(super) fn counts(&self) -> [usize; 3] {
        [self.outstanding.len(), self.dispatched.len(), self.dead.len()]
    }

    /// Returns the dispatched messages that are not forgotten, each with its position among them.
    fn dispatched(&self) -> impl Iterator<Item = (usize, &OutboxEntry)> {
        let slots = self.dispatched.iter().enumerate();
        slots.filter_map(|(slot, key)| Some((slot, self.held.get((*key)?)?)))
    }

    pub(super) fn claim(&mut self, which: Claim<'_>, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let now = Instant::now();
        let chosen: Vec<usize> = match which {
            Claim::Ids { ids, except } => {
                let free = ids.iter().filter_map(|id| {
                    let key = *self.keys.get(id)?;
                    let held = self.held.get(key)?;
                    let number = held.number()?;
                    (held.is_free(now) && !except.contains(held.topic())).then_some((number, key))
                });
                let mut chosen: Vec<_> = free.collect();
                chosen.sort_unstable();
                chosen.dedup();
                chosen.into_iter().map(|(_, key)| key).collect()
            }
            Claim::Oldest {
                limit,
                min_age,
                except,
            } => self
                .old(now, min_age)
                .filter(|(_, held)| held.is_due(now, min_age) && !except.contains(held.topic()))
                .map(|(key, _)| key)
                .take(limit)
                .collect(),
            Claim::OfTopic {
                topic,
                limit,
                min_age,
            } => self
                .old(now, min_age)
                .filter(|(_, held)| held.topic() == topic && held.is_due(now, min_age))
                .map(|(key, _)| key)
                .take(limit)
                .collect(),
            Claim::InOrder {
                topic,
                limit,
                min_age,
            } => self
                .outstanding()
                .filter(|(_, held)| held.topic() == topic)
                .take_while(|(_, held)| held.is_due(now, min_age))
                .map(|(key, _)| key)
                .take(limit)
                .collect(),
            _ => return Err(OutboxError::Unsupported("this kind of claim")),
        };
        let mut claimed = Vec::with_capacity(chosen.len());
        for key in chosen {
            if let Some(held) = self.held.get_mut(key) {
                held.claimed_until = Some(after(now, lease));
                claimed.push(Claimed::new(held.message.clone(), held.attempts));
            }
        }
        Ok(claimed)
    }

    pub(super) fn mark_dispatched(&mut self, ids: &[MessageId]) {
        for id in ids {
            let Some(&key) = self.keys.get(id) else {
                continue;
            };
            let Some(held) = self.held.get_mut(key) else {
                continue;
            };
            let Some(number) = held.number() else {
                continue;
            };
            self.outstanding.remove(&number);
            held.place = EntryState::Dispatched {
                since: Instant::now(),
            };
            self.dispatched.push_back(Some(key));
            if self.dispatched.len() > DISPATCHED_KEPT
                && let Some(Some(oldest)) = self.dispatched.pop_front()
            {
                self.forget(oldest);
            }
        }
    }

    pub(super) fn mark_failed(&mut self, failures: &[Failure]) {
        let now = Instant::now();
        for failure in failures {
            if let Some((number, held)) = self.outstanding_mut(&failure.id) {
                held.attempts = held.attempts.saturating_add(1);
                held.last_error = Some(failure.error.chars().take(ERROR_KEPT).collect());
                held.not_before = Some(after(now, failure.retry_delay));
                held.claimed_until = None;
                if failure.is_last {
                    held.place = EntryState::Dead { number, since: now };
                    if let Some(key) = self.outstanding.remove(&number) {
                        self.dead.insert(number, key);
                    }
                }
            }
        }
    }

    pub(super) fn release(&mut self, ids: &[MessageId]) {
        for id in ids {
            if let Some((_, held)) = self.outstanding_mut(id) {
                held.claimed_until = None;
            }
        }
    }

    pub(super) fn revive(&mut self, ids: &[MessageId]) -> u64 {
        let mut revived = 0;
        for id in ids {
            let Some(&key) = self.keys.get(id) else {
                continue;
            };
            let Some(held) = self.held.get_mut(key) else {
                continue;
            };
            let EntryState::Dead { number, .. } = held.place else {
                continue;
            };
            held.place = EntryState::Outstanding(number);
            (held.attempts, held.last_error, held.not_before) = (0, None, None);
            self.dead.remove(&number);
            self.outstanding.insert(number, key);
            revived += 1;
        }
        revived
    }

    pub(super) fn get(&self, id: &MessageId) -> Option<&Message> {
        match self.keys.get(id) {
            Some(key) => self.held.get(*key).map(|held| &held.message),
            None => self.scheduled.get(id),
        }
    }

    pub(super) fn how_far(&self, id: &MessageId) -> Option<MessageState> {
        let Some(key) = self.keys.get(id) else {
            return self.scheduled.due_in(id).map(MessageState::scheduled);
        };
        let held = self.held.get(*key)?;
        let last_error = || held.last_error.clone();
        Some(match held.place {
            EntryState::Outstanding(_) => MessageState::outstanding(held.attempts, last_error()),
            EntryState::Dead { .. } => MessageState::dead(held.attempts, last_error()),
            EntryState::Dispatched { .. } => MessageState::Dispatched,
        })
    }

    /// One that is outstanding, with its number.
    fn outstanding_mut(&mut self, id: &MessageId) -> Option<(u64, &mut OutboxEntry)> {
        let held = self.held.get_mut(*self.keys.get(id)?)?;
        Some((held.number()?, held))
    }
}
