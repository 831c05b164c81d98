//! The messages of an [`InMemoryOutbox`](super::InMemoryOutbox), and how far each has come.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::scheduled::Scheduled;
use crate::id::MessageId;
use crate::message::{Message, RoutingKey};
use crate::outbox::{Archive, Claim, Claimed, DeadMessage, Failure, MessageState, OutboxError, Selection};

/// How many dispatched messages are kept to be sent again.
const DISPATCHED_KEPT: usize = 10_000;
/// How much of an error is kept, in characters.
const ERROR_KEPT: usize = 2_000;

#[derive(Default)]
pub(super) struct State {
    places: HashMap<MessageId, Place>,
    /// By the order of their deposit.
    pub(super) outstanding: BTreeMap<u64, Waiting>,
    /// By the order of their deposit.
    pub(super) dead: BTreeMap<u64, Waiting>,
    pub(super) scheduled: Scheduled,
    /// By the order in which they were dispatched, to forget the oldest; nothing in the place of one that was taken
    /// out.
    pub(super) dispatched: VecDeque<Option<Dispatched>>,
    /// How many of those were forgotten: the number of the first that was not.
    forgotten: u64,
    deposited: u64,
}

pub(super) struct Dispatched {
    message: Box<Message>,
    deposited_at: SystemTime,
    when: Instant,
}

pub(super) enum Place {
    Outstanding(u64),
    Dead(u64),
    Dispatched(u64),
}

pub(super) struct Waiting {
    /// In a place of its own, as it goes from table to table.
    message: Box<Message>,
    pub(super) deposited: Instant,
    deposited_at: SystemTime,
    pub(super) attempts: u32,
    last_error: Option<String>,
    not_before: Option<Instant>,
    pub(super) claimed_until: Option<Instant>,
    /// Says something only of the dead.
    died: Instant,
}

impl Waiting {
    pub(super) fn obituary(&self) -> DeadMessage {
        let header = &self.message.header;
        let last_error = self.last_error.clone().unwrap_or_default();
        DeadMessage::new(header.id.clone(), header.topic.clone(), self.attempts, last_error)
    }

    pub(super) fn topic(&self) -> &RoutingKey {
        &self.message.header.topic
    }

    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.claimed_until.is_none_or(|end| end <= now)
    }

    pub(super) fn is_due(&self, now: Instant, min_age: Duration) -> bool {
        self.is_free(now)
            && self.not_before.is_none_or(|start| start <= now)
            && now.duration_since(self.deposited) >= min_age
    }
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
        // The usual case: nothing to gather, and nothing to compare with but what is held.
        if let [message] = messages {
            let id = &message.header.id;
            return match self.get(id) {
                Some(held) if held.is_same(message) => Ok(vec![id.clone()]),
                Some(_) => Err(OutboxError::IdInUse { id: id.clone() }),
                None => {
                    self.check_room(1, limit)?;
                    self.add(Box::new(message.clone()), now, claimed_until);
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
            self.add(Box::new(message.clone()), now, claimed_until);
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

    /// Whether all of a transaction can be stored, as far as its deposits do not say so.
    pub(super) fn check_scheduled(
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
            self.add(Box::new(message), now, None);
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

    pub(super) fn add(&mut self, message: Box<Message>, deposited: Instant, claimed_until: Option<Instant>) {
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

    pub(super) fn replay(&mut self, causation: &MessageId, limit: usize) -> Result<u64, OutboxError> {
        let is_caused = |it: &Dispatched| it.message.header.causation_id.as_ref() == Some(causation);
        let held = self.dispatched.iter().flatten();
        self.check_room(held.filter(|it| is_caused(it)).count(), limit)?;
        let slots = self.dispatched.iter_mut();
        let caused: Vec<_> = slots
            .filter_map(|slot| slot.take_if(|it| is_caused(it)))
            .collect();
        Ok(self.outstanding_again(caused))
    }

    pub(super) fn send_again(&mut self, which: &Selection, limit: usize) -> Result<u64, OutboxError> {
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
    pub(super) fn outstanding_again(&mut self, dispatched: Vec<Dispatched>) -> u64 {
        let (now, count) = (Instant::now(), dispatched.len() as u64);
        for it in dispatched {
            self.add(it.message, now, None);
        }
        count
    }

    pub(super) fn archive(&mut self, what: &Archive) -> u64 {
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

    pub(super) fn claim(&mut self, which: Claim<'_>, lease: Duration) -> Vec<Claimed> {
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
                claimed.push(Claimed::new(Message::clone(&waiting.message), waiting.attempts));
            }
        }
        claimed
    }

    pub(super) fn of_topic<'a>(
        &'a self,
        topic: &'a RoutingKey,
    ) -> impl Iterator<Item = (&'a u64, &'a Waiting)> {
        let all = self.outstanding.iter();
        all.filter(move |(_, waiting)| waiting.topic() == topic)
    }

    pub(super) fn mark_dispatched(&mut self, ids: &[MessageId]) {
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

    pub(super) fn mark_failed(&mut self, failures: &[Failure]) {
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

    pub(super) fn bury(&mut self, id: &MessageId) {
        if let Some(number) = self.number(id)
            && let Some(mut waiting) = self.outstanding.remove(&number)
        {
            waiting.died = Instant::now();
            self.dead.insert(number, waiting);
            self.places.insert(id.clone(), Place::Dead(number));
        }
    }

    pub(super) fn revive(&mut self, ids: &[MessageId]) -> u64 {
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

    pub(super) fn get(&self, id: &MessageId) -> Option<&Message> {
        let Some(place) = self.places.get(id) else {
            return self.scheduled.get(id);
        };
        match place {
            Place::Outstanding(number) => self.outstanding.get(number).map(|waiting| &*waiting.message),
            Place::Dead(number) => self.dead.get(number).map(|waiting| &*waiting.message),
            Place::Dispatched(number) => {
                let slot = usize::try_from(number.checked_sub(self.forgotten)?).ok()?;
                self.dispatched.get(slot)?.as_ref().map(|it| &*it.message)
            }
        }
    }

    pub(super) fn how_far(&self, id: &MessageId) -> Option<MessageState> {
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

    pub(super) fn number(&self, id: &MessageId) -> Option<u64> {
        match self.places.get(id)? {
            Place::Outstanding(number) => Some(*number),
            Place::Dead(_) | Place::Dispatched(_) => None,
        }
    }

    pub(super) fn waiting_mut(&mut self, id: &MessageId) -> Option<&mut Waiting> {
        self.outstanding.get_mut(&self.number(id)?)
    }
}

/// A time so far ahead that the clock cannot say it is as good as never.
pub(super) fn after(now: Instant, time: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    now + time.min(NEVER)
}
