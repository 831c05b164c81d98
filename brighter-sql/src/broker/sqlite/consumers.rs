//! [`Consumers`]: the consumers of this process, their channels, and their room for messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::delivery_buffer::{DeliveryBuffer, HeldRow};
use super::demand::Demand;
use super::request::{SettleAction, Settled};
use super::topology::FileTopology;

/// The consumers of this process, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    consumers: BTreeMap<u64, ConsumerEntry>,
    channels: HashMap<i64, ChannelState>,
}

#[derive(Debug)]
struct ConsumerEntry {
    channel: i64,
    /// The largest number of messages that the consumer may hold.
    capacity: u32,
    /// The number of further messages that the consumer may hold.
    room: u32,
    buffer: Arc<DeliveryBuffer>,
}

/// The state of a channel that has a consumer.
#[derive(Debug)]
struct ChannelState {
    consumers: usize,
    /// Whether there may be messages that no consumer holds.
    may_have: bool,
    /// The consumer that is served first the next time.
    turn: usize,
}

impl Consumers {
    pub(super) fn are_empty(&self) -> bool {
        self.consumers.is_empty()
    }

    /// Adds a consumer. Its number is higher than those before.
    pub(super) fn add(&mut self, consumer: u64, channel: i64, capacity: u32, buffer: Arc<DeliveryBuffer>) {
        let entry = ConsumerEntry {
            channel,
            capacity,
            room: capacity,
            buffer,
        };
        self.consumers.insert(consumer, entry);
        let state = self.channels.entry(channel).or_insert(ChannelState {
            consumers: 0,
            may_have: true,
            turn: 0,
        });
        state.consumers += 1;
        // Messages that other consumers left may be for this one.
        state.may_have = true;
    }

    /// Removes a consumer, and returns its channel.
    pub(super) fn remove(&mut self, consumer: u64) -> Option<i64> {
        let channel = self.consumers.remove(&consumer)?.channel;
        if let Some(state) = self.channels.get_mut(&channel) {
            state.consumers -= 1;
            if state.consumers == 0 {
                self.channels.remove(&channel);
            }
        }
        Some(channel)
    }

    /// Returns whether this channel has a consumer.
    pub(super) fn consume(&self, channel: i64) -> bool {
        self.channels.contains_key(&channel)
    }

    /// Returns the channels that have a consumer.
    pub(super) fn channels(&self) -> impl Iterator<Item = i64> {
        self.channels.keys().copied()
    }

    /// Ends the consumers of a removed channel, and drops the messages that they have not received.
    pub(super) fn end(&self, channel: i64) {
        let consumers = self.consumers.values().filter(|entry| entry.channel == channel);
        consumers.for_each(|entry| drop(entry.buffer.clear()));
    }

    /// Records that a message of this consumer was settled.
    pub(super) fn settled(&mut self, consumer: u64) {
        if let Some(entry) = self.consumers.get_mut(&consumer) {
            entry.room = entry.room.saturating_add(1).min(entry.capacity);
        }
    }

    /// Returns the channels with room in a consumer, and without a known message.
    pub(super) fn hungry(&self) -> Vec<i64> {
        let hungry = self.channels.iter().filter(|(channel, state)| {
            let mut consumers = self.consumers.values();
            !state.may_have && consumers.any(|entry| entry.channel == **channel && entry.room > 0)
        });
        hungry.map(|(channel, _)| *channel).collect()
    }

    pub(super) fn may_have(&mut self, channel: i64) {
        if let Some(state) = self.channels.get_mut(&channel) {
            state.may_have = true;
        }
    }

    /// Returns the demand of the consumers after these settlements. A consumer with less than a quarter of its capacity
    /// free waits, so that more messages are claimed at once.
    pub(super) fn demands(&self, topology: &FileTopology, settled: &[Settled]) -> Vec<Demand> {
        let mut freed: HashMap<u64, u32> = HashMap::new();
        for settled in settled {
            *freed.entry(settled.consumer).or_default() += 1;
        }
        let mut demands: BTreeMap<i64, (Demand, bool)> = BTreeMap::new();
        for (number, entry) in &self.consumers {
            let more = freed.get(number).copied().unwrap_or(0);
            let room = entry.room.saturating_add(more).min(entry.capacity);
            let is_low = room.saturating_mul(4) >= entry.capacity;
            let single = topology
                .limits(entry.channel)
                .is_some_and(|limits| limits.single_active_consumer);
            match demands.get_mut(&entry.channel) {
                // Only the oldest consumer is active.
                Some(_) if single => {}
                Some((demand, any_is_low)) => {
                    demand.rows = demand.rows.saturating_add(room);
                    *any_is_low |= is_low;
                }
                None => {
                    let state = self.channels.get(&entry.channel);
                    let demand = Demand {
                        channel: entry.channel,
                        consumer: *number,
                        rows: room,
                        may_have: state.is_some_and(|state| state.may_have),
                    };
                    demands.insert(entry.channel, (demand, is_low));
                }
            }
        }
        let demands = demands.into_values();
        demands
            .filter(|(demand, is_low)| *is_low && demand.rows > 0)
            .map(|(demand, _)| demand)
            .collect()
    }

    /// Distributes claimed messages in turn to consumers with room. Returns those that no consumer takes.
    pub(super) fn serve(
        &mut self,
        demand: Demand,
        session: i64,
        single: bool,
        rows: Vec<SqliteRow>,
    ) -> Vec<Settled> {
        let Some(state) = self.channels.get_mut(&demand.channel) else {
            return Vec::new();
        };
        state.may_have = rows.len() >= demand.rows as usize;
        let mut entries: Vec<(u64, &mut ConsumerEntry, Vec<HeldRow>)> = self
            .consumers
            .iter_mut()
            .filter(|(number, entry)| {
                entry.channel == demand.channel && (!single || **number == demand.consumer)
            })
            .map(|(number, entry)| (*number, entry, Vec::new()))
            .collect();
        let mut back = Vec::new();
        let count = entries.len();
        for row in rows {
            let Ok((seq, redeliveries)) = numbers(&row) else {
                continue;
            };
            let row = HeldRow {
                seq,
                session,
                channel: demand.channel,
                redeliveries,
                row,
            };
            let found = (0..count)
                .map(|step| (state.turn + step) % count.max(1))
                .find(|index| entries[*index].1.room > 0);
            match found {
                Some(index) => {
                    state.turn = index + 1;
                    entries[index].1.room -= 1;
                    entries[index].2.push(row);
                }
                None => back.push(given_back(&row, 0)),
            }
        }
        for (number, entry, rows) in entries {
            if !rows.is_empty() {
                let refused = entry.buffer.serve(rows);
                back.extend(refused.iter().map(|row| given_back(row, number)));
            }
        }
        back
    }

    /// Takes back the messages of a lost session that no handler has received.
    pub(super) fn recall(&mut self) {
        for entry in self.consumers.values_mut() {
            let recalled = entry.buffer.recall().len();
            let recalled = u32::try_from(recalled).unwrap_or(u32::MAX);
            entry.room = entry.room.saturating_add(recalled).min(entry.capacity);
        }
        self.channels.values_mut().for_each(|state| state.may_have = true);
    }

    /// Ends every consumer, and returns the messages that no handler has received.
    pub(super) fn clear(&mut self) -> Vec<Settled> {
        let mut back = Vec::new();
        for (number, entry) in &self.consumers {
            let unseen = entry.buffer.clear();
            back.extend(unseen.iter().map(|row| given_back(row, *number)));
        }
        self.consumers.clear();
        self.channels.clear();
        back
    }
}

fn numbers(row: &SqliteRow) -> Result<(i64, u32), sqlx::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Returns a row that no handler has received to its channel.
pub(super) fn given_back(row: &HeldRow, consumer: u64) -> Settled {
    Settled {
        seq: row.seq,
        session: row.session,
        consumer,
        channel: row.channel,
        action: SettleAction::Release { counted: false },
        reply: None,
    }
}
