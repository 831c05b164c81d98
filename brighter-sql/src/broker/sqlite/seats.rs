//! The [`Seats`]: who consumes what in this process, and how many messages each has room for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::cycle::Want;
use super::desk::{How, Settled};
use super::seat::{Row, Seat};
use super::topology::Topology;

/// Every consumer of this process, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Seats {
    last: u64,
    seats: BTreeMap<u64, Place>,
    channels: HashMap<i64, Stock>,
}

#[derive(Debug)]
struct Place {
    channel: i64,
    buffer: u32,
    /// How many more messages it may have.
    room: u32,
    lap: Arc<Seat>,
}

/// What is known of a channel that somebody consumes.
#[derive(Debug)]
struct Stock {
    seats: usize,
    /// Whether there may be messages that nobody has in hand.
    may_have: bool,
    /// Who is served first the next time.
    turn: usize,
}

impl Seats {
    pub(super) fn are_empty(&self) -> bool {
        self.seats.is_empty()
    }

    pub(super) fn add(&mut self, channel: i64, buffer: u32) -> (u64, Arc<Seat>) {
        self.last += 1;
        let lap = Arc::new(Seat::default());
        self.seats.insert(
            self.last,
            Place {
                channel,
                buffer,
                room: buffer,
                lap: Arc::clone(&lap),
            },
        );
        let stock = self.channels.entry(channel).or_insert(Stock {
            seats: 0,
            may_have: true,
            turn: 0,
        });
        stock.seats += 1;
        // What others have left may be for this one.
        stock.may_have = true;
        (self.last, lap)
    }

    /// The channel that it consumed.
    pub(super) fn remove(&mut self, seat: u64) -> Option<i64> {
        let channel = self.seats.remove(&seat)?.channel;
        if let Some(stock) = self.channels.get_mut(&channel) {
            stock.seats -= 1;
            if stock.seats == 0 {
                self.channels.remove(&channel);
            }
        }
        Some(channel)
    }

    /// Whether anybody consumes this channel.
    pub(super) fn consume(&self, channel: i64) -> bool {
        self.channels.contains_key(&channel)
    }

    /// The channels that somebody consumes.
    pub(super) fn channels(&self) -> impl Iterator<Item = i64> {
        self.channels.keys().copied()
    }

    /// Ends the consumers of a channel that is gone, with what they have not seen.
    pub(super) fn end(&self, channel: i64) {
        let seats = self.seats.values().filter(|place| place.channel == channel);
        seats.for_each(|place| drop(place.lap.clear()));
    }

    /// One that it had is settled.
    pub(super) fn settled(&mut self, seat: u64) {
        if let Some(place) = self.seats.get_mut(&seat) {
            place.room = place.room.saturating_add(1).min(place.buffer);
        }
    }

    /// Channels that somebody has room for, and of which nothing is known to be there.
    pub(super) fn hungry(&self) -> Vec<i64> {
        let hungry = self.channels.iter().filter(|(channel, stock)| {
            let mut seats = self.seats.values();
            !stock.may_have && seats.any(|place| place.channel == **channel && place.room > 0)
        });
        hungry.map(|(channel, _)| *channel).collect()
    }

    pub(super) fn may_have(&mut self, channel: i64) {
        if let Some(stock) = self.channels.get_mut(&channel) {
            stock.may_have = true;
        }
    }

    /// What they want, once these are settled. A consumer that has three quarters of what it may have can wait for
    /// more to be taken at once.
    pub(super) fn wants(&self, topology: &Topology, settled: &[Settled]) -> Vec<Want> {
        let mut freed: HashMap<u64, u32> = HashMap::new();
        for settled in settled {
            *freed.entry(settled.seat).or_default() += 1;
        }
        let mut wants: BTreeMap<i64, (Want, bool)> = BTreeMap::new();
        for (number, place) in &self.seats {
            let more = freed.get(number).copied().unwrap_or(0);
            let room = place.room.saturating_add(more).min(place.buffer);
            let is_low = room.saturating_mul(4) >= place.buffer;
            let single = topology
                .limits(place.channel)
                .is_some_and(|limits| limits.single_active_consumer);
            match wants.get_mut(&place.channel) {
                // The oldest alone is the active one.
                Some(_) if single => {}
                Some((want, any_is_low)) => {
                    want.rows = want.rows.saturating_add(room);
                    *any_is_low |= is_low;
                }
                None => {
                    let stock = self.channels.get(&place.channel);
                    let want = Want {
                        channel: place.channel,
                        consumer: *number,
                        rows: room,
                        may_have: stock.is_some_and(|stock| stock.may_have),
                    };
                    wants.insert(place.channel, (want, is_low));
                }
            }
        }
        let wants = wants.into_values();
        wants
            .filter(|(want, is_low)| *is_low && want.rows > 0)
            .map(|(want, _)| want)
            .collect()
    }

    /// Deals what was claimed to those who have room, in turn. What nobody takes is given back.
    pub(super) fn serve(
        &mut self,
        want: Want,
        session: i64,
        single: bool,
        rows: Vec<SqliteRow>,
    ) -> Vec<Settled> {
        let Some(stock) = self.channels.get_mut(&want.channel) else {
            return Vec::new();
        };
        stock.may_have = rows.len() >= want.rows as usize;
        let mut places: Vec<(u64, &mut Place, Vec<Row>)> = self
            .seats
            .iter_mut()
            .filter(|(number, place)| place.channel == want.channel && (!single || **number == want.consumer))
            .map(|(number, place)| (*number, place, Vec::new()))
            .collect();
        let mut back = Vec::new();
        let count = places.len();
        for row in rows {
            let Ok((seq, redeliveries)) = numbers(&row) else {
                continue;
            };
            let row = Row {
                seq,
                session,
                redeliveries,
                row,
            };
            let found = (0..count)
                .map(|step| (stock.turn + step) % count.max(1))
                .find(|place| places[*place].1.room > 0);
            match found {
                Some(place) => {
                    stock.turn = place + 1;
                    places[place].1.room -= 1;
                    places[place].2.push(row);
                }
                None => back.push(given_back(&row, 0, want.channel)),
            }
        }
        for (number, place, rows) in places {
            if !rows.is_empty() {
                let refused = place.lap.serve(rows);
                back.extend(refused.iter().map(|row| given_back(row, number, want.channel)));
            }
        }
        back
    }

    /// Takes back what no handler has seen of what a lost session held.
    pub(super) fn recall(&mut self) {
        for place in self.seats.values_mut() {
            let recalled = place.lap.recall().len();
            let recalled = u32::try_from(recalled).unwrap_or(u32::MAX);
            place.room = place.room.saturating_add(recalled).min(place.buffer);
        }
        self.channels.values_mut().for_each(|stock| stock.may_have = true);
    }

    /// Ends every consumer; what no handler has seen goes back.
    pub(super) fn clear(&mut self) -> Vec<Settled> {
        let mut back = Vec::new();
        for (number, place) in &self.seats {
            let unseen = place.lap.clear();
            back.extend(unseen.iter().map(|row| given_back(row, *number, place.channel)));
        }
        self.seats.clear();
        self.channels.clear();
        back
    }
}

fn numbers(row: &SqliteRow) -> Result<(i64, u32), sqlx::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

fn given_back(row: &Row, seat: u64, channel: i64) -> Settled {
    Settled {
        seq: row.seq,
        session: row.session,
        seat,
        channel,
        how: How::Release { counted: false },
        reply: None,
    }
}
