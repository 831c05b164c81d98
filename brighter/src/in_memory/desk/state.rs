//! [`State`]: the messages of a desk in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use super::bulk::Bulk;
use brighter_core::desk::{
    BulkVerb, DeadGroup, Death, DeskFilter, DeskId, DeskMessage, DeskRow, DeskRowView, DeskState, GroupKey,
    ItemState, NewDeskMessage, OperationId, Taken,
};

const HOUR: u64 = 3_600;

/// The messages, groups and operations of a desk in memory.
#[derive(Debug, Default)]
pub(super) struct State {
    last: u64,
    pub(super) messages: BTreeMap<DeskId, KeptMessage>,
    by_key: HashMap<String, DeskId>,
    groups: BTreeMap<GroupKey, KeptGroup>,
    pub(super) bulks: BTreeMap<OperationId, Bulk>,
}

#[derive(Debug)]
pub(super) struct KeptMessage {
    pub(super) message: DeskMessage,
    key: String,
    deaths: HashSet<String>,
}

#[derive(Debug)]
struct KeptGroup {
    group: DeadGroup,
    hours: BTreeMap<u64, u64>,
}

fn hour(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        / HOUR
}

impl State {
    pub(super) fn take(&mut self, new: &NewDeskMessage) -> Taken {
        let now = SystemTime::now();
        let known = self.by_key.get(&new.key).copied();
        let id = known.unwrap_or_else(|| {
            self.last += 1;
            DeskId::new(self.last)
        });
        let at = new.died_at.unwrap_or(now);
        let death = Death::new(at, new.error.clone(), new.attempts);
        let taken = match self.messages.get_mut(&id) {
            Some(kept) => {
                if !kept.deaths.insert(new.death.clone()) {
                    return Taken::Known;
                }
                let row = &mut kept.message.row;
                row.handler.clone_from(&new.handler);
                row.error_type.clone_from(&new.error_type);
                row.error.clone_from(&new.error);
                row.attempts = new.attempts;
                row.group = new.group;
                row.died_at = at;
                row.deaths += 1;
                row.state = DeskState::Waiting;
                kept.message.deaths.push(death);
                Taken::Again
            }
            None => {
                let row = DeskRow::new(id, new, now);
                let kept = KeptMessage {
                    message: DeskMessage::new(row, new.message.clone(), vec![death]),
                    key: new.key.clone(),
                    deaths: HashSet::from([new.death.clone()]),
                };
                self.messages.insert(id, kept);
                self.by_key.insert(new.key.clone(), id);
                Taken::New
            }
        };
        self.count(new, at);
        self.came_back(new, id);
        taken
    }

    fn count(&mut self, new: &NewDeskMessage, at: SystemTime) {
        let kept = self.groups.entry(new.group).or_insert_with(|| {
            let mut group = DeadGroup::new(new.group, new.kind, at, at);
            group.channel = new.channel.as_ref().map_or("", |name| name.as_str()).to_owned();
            group.handler.clone_from(&new.handler);
            group.error_type.clone_from(&new.error_type);
            group.pattern.clone_from(&new.pattern);
            KeptGroup {
                group,
                hours: BTreeMap::new(),
            }
        });
        kept.group.deaths += 1;
        kept.group.first = kept.group.first.min(at);
        kept.group.last = kept.group.last.max(at);
        *kept.hours.entry(hour(at)).or_default() += 1;
    }

    /// Tells the operation that had sent the message.
    fn came_back(&mut self, new: &NewDeskMessage, id: DeskId) {
        let Some(mark) = &new.retried else { return };
        let Some(bulk) = self.bulks.get_mut(&mark.operation) else {
            return;
        };
        let edited =
            matches!(&bulk.operation.plan.verb, BulkVerb::Edit { id, .. } if *id == new.message.header.id);
        if mark.row != id && !edited {
            return;
        }
        let states = [ItemState::Sending, ItemState::Sent];
        let changed = bulk.set_item(mark.row, &states, ItemState::CameBack, Some(new.error.clone()));
        if let (true, true, Some(original)) = (changed, edited, self.messages.get_mut(&mark.row)) {
            original.message.row.state = DeskState::Archived;
            original.message.row.comment = Some(format!("edited, and died again: see row {id}"));
        }
    }

    pub(super) fn groups(&self, limit: usize) -> Vec<DeadGroup> {
        let now = hour(SystemTime::now());
        let mut groups: Vec<_> = self.groups.values().map(|kept| self.seen(kept, now)).collect();
        groups.retain(|group| group.waiting > 0);
        groups.sort_by_key(|group| (std::cmp::Reverse(group.waiting), group.key));
        groups.truncate(limit);
        groups
    }

    fn seen(&self, kept: &KeptGroup, now: u64) -> DeadGroup {
        let mut group = kept.group.clone();
        let waits = |kept: &&KeptMessage| {
            kept.message.row.group == group.key && kept.message.row.state == DeskState::Waiting
        };
        group.waiting = self.messages.values().filter(waits).count() as u64;
        for (hour, deaths) in &kept.hours {
            let ago = usize::try_from(now.saturating_sub(*hour)).unwrap_or(usize::MAX);
            let place = group.hours.len().checked_sub(ago.saturating_add(1));
            if let Some(count) = place.and_then(|place| group.hours.get_mut(place)) {
                *count += deaths;
            }
        }
        group
    }

    pub(super) fn list(&self, filter: &DeskFilter, before: Option<DeskId>, limit: usize) -> Vec<DeskRow> {
        let rows = self.messages.values().rev().map(|kept| &kept.message.row);
        rows.filter(|row| before.is_none_or(|before| row.id < before))
            .filter(|row| is_chosen(filter, row))
            .take(limit)
            .cloned()
            .collect()
    }

    pub(super) fn read(&self, id: DeskId) -> Option<DeskMessage> {
        self.messages.get(&id).map(|kept| kept.message.clone())
    }

    pub(super) fn delete(&mut self, id: DeskId) {
        if let Some(kept) = self.messages.remove(&id) {
            self.by_key.remove(&kept.key);
        }
    }
}

pub(super) fn is_chosen(filter: &DeskFilter, row: &DeskRow) -> bool {
    let age = SystemTime::now()
        .duration_since(row.died_at)
        .unwrap_or(Duration::ZERO);
    filter.matches(DeskRowView { row, age })
}
