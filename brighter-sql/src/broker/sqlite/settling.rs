//! Settles, publishes and claims within a transaction.

use std::collections::BTreeSet;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::broker_tx::{BrokerTx, MessageCopy, list};
use super::demand::Demand;
use super::request::{Posting, SettleAction, Settled};
use super::row::StoredMessage;
use brighter_core::channel::{Overflow, PublishError};
use brighter_core::message::RoutingKey;

/// The outcome of a settlement.
#[derive(Debug)]
pub(super) enum SettleOutcome {
    Done,
    /// The session that held the message has expired, so others have it.
    Stale,
    /// The target channel does not exist; the message returned to its channel.
    NotMoved(RoutingKey),
}

impl BrokerTx<'_> {
    /// Settles, in their order, messages that this session holds.
    pub(super) async fn settle(
        &mut self,
        session: Option<i64>,
        settled: &[Settled],
    ) -> Result<Vec<SettleOutcome>, sqlx::Error> {
        if settled.is_empty() {
            return Ok(Vec::new());
        }
        let mine = |settled: &&Settled| Some(settled.session) == session;
        let seqs = list(settled.iter().filter(mine).map(|settled| settled.seq));
        let held = sqlx::query(
            "DELETE FROM brighter_broker_held WHERE session = ?1 AND seq IN (SELECT value FROM json_each(?2)) \
             RETURNING seq",
        )
        .bind(session.unwrap_or(0))
        .bind(seqs)
        .fetch_all(&mut *self.file)
        .await?;
        let held: BTreeSet<i64> = held.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;

        let (mut outcomes, mut gone, mut back, mut copies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for settled in settled {
            if Some(settled.session) != session || !held.contains(&settled.seq) {
                outcomes.push(SettleOutcome::Stale);
                continue;
            }
            outcomes.push(SettleOutcome::Done);
            match &settled.action {
                SettleAction::Ack => gone.push(settled.seq),
                SettleAction::Release { counted: true } => back.push(settled.seq),
                SettleAction::Release { counted: false } => {
                    self.touched.insert(settled.channel);
                    // The message may have expired meanwhile.
                    self.times_changed = true;
                }
                SettleAction::Again { message, delay } => {
                    gone.push(settled.seq);
                    let copy = MessageCopy {
                        channel: settled.channel,
                        message: message.clone(),
                    };
                    match delay {
                        0 => copies.push(copy),
                        delay => self.delay(copy, *delay).await?,
                    }
                }
                SettleAction::Aside { message, to } => match self.topology.find(to) {
                    Some(channel) => {
                        gone.push(settled.seq);
                        let message = message.clone();
                        copies.push(MessageCopy { channel, message });
                    }
                    None => {
                        back.push(settled.seq);
                        outcomes.pop();
                        outcomes.push(SettleOutcome::NotMoved(RoutingKey::from(to.as_str())));
                    }
                },
            }
        }
        self.append(copies).await?;
        if !gone.is_empty() {
            self.delete(&list(gone)).await?;
        }
        self.count_redelivery(&back).await?;
        Ok(outcomes)
    }

    /// Adds a copy of each message to every channel that is bound to its topic and has room.
    pub(super) async fn publish(
        &mut self,
        postings: &mut [Posting],
    ) -> Result<Vec<Vec<Result<(), PublishError>>>, sqlx::Error> {
        let (mut posted, mut copies) = (Vec::with_capacity(postings.len()), Vec::new());
        for posting in postings {
            let mut results = Vec::with_capacity(posting.messages.len());
            for message in std::mem::take(&mut posting.messages) {
                let result = match &posting.to {
                    None => self.route(message, &mut copies).await?,
                    Some(channel) => match self.topology.find(channel) {
                        Some(channel) => {
                            copies.push(MessageCopy { channel, message });
                            Ok(())
                        }
                        None => {
                            let topic = RoutingKey::from(channel.as_str());
                            Err(PublishError::Unroutable { topic })
                        }
                    },
                };
                results.push(result);
            }
            posted.push(results);
        }
        self.append(copies).await?;
        Ok(posted)
    }

    async fn route(
        &mut self,
        message: StoredMessage,
        copies: &mut Vec<MessageCopy>,
    ) -> Result<Result<(), PublishError>, sqlx::Error> {
        let routes = self.topology.routes(&message.topic);
        if routes.is_empty() {
            let topic = message.topic;
            return Ok(Err(PublishError::Unroutable { topic }));
        }
        for channel in &*routes {
            if let Some(refused) = self.refused_for_its_priority(*channel, message.priority) {
                return Ok(Err(refused));
            }
        }
        // A full channel does not prevent copies in the others.
        let (mut with_room, mut first_full) = (Vec::with_capacity(routes.len()), None);
        for channel in &*routes {
            if self.room(*channel).await? <= 0 {
                self.full.insert(*channel);
                first_full.get_or_insert(*channel);
            } else {
                self.room.entry(*channel).and_modify(|room| *room -= 1);
                with_room.push(*channel);
            }
        }
        let others = with_room.len();
        if let Some((last, before)) = with_room.split_last() {
            copies.extend(before.iter().map(|channel| MessageCopy {
                channel: *channel,
                message: message.clone(),
            }));
            copies.push(MessageCopy {
                channel: *last,
                message,
            });
        }
        let full = first_full.and_then(|channel| self.topology.channel(channel));
        Ok(match full {
            None => Ok(()),
            Some(known) => Err(PublishError::ChannelFull {
                channel: known.name.clone(),
                // The channel may hold more, as messages were returned to it; the publisher is told the limit.
                waiting: known.limits.length.unwrap_or_default().into(),
                others,
            }),
        })
    }

    fn refused_for_its_priority(&self, channel: i64, priority: u8) -> Option<PublishError> {
        let known = self.topology.channel(channel)?;
        let highest = known.limits.priorities.filter(|highest| priority > *highest)?;
        let name = &known.name;
        Some(PublishError::Refused {
            reason: format!(
                "channel `{name}` has priorities up to {highest}, and the message has {priority}"
            ),
        })
    }

    /// Returns how many more messages a channel accepts from producers. They are counted once in a transaction.
    async fn room(&mut self, channel: i64) -> Result<i64, sqlx::Error> {
        let Some(limits) = self.topology.limits(channel) else {
            return Ok(i64::MAX);
        };
        let (Some(length), Overflow::RefuseNewest) = (limits.length, limits.overflow) else {
            return Ok(i64::MAX);
        };
        if let Some(room) = self.room.get(&channel) {
            return Ok(*room);
        }
        let room = i64::from(length).saturating_sub(self.waiting(channel).await?);
        self.room.insert(channel, room);
        Ok(room)
    }

    /// Claims the next messages of a channel: rows of `seq, redeliveries, header, body`.
    pub(super) async fn claim(
        &mut self,
        session: i64,
        demand: Demand,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let limits = self.topology.limits(demand.channel);
        if limits.is_some_and(|limits| limits.single_active_consumer)
            && !self.is_active(session, demand).await?
        {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT m.seq, m.redeliveries, m.header, m.body FROM brighter_broker_messages m WHERE m.channel = ?1 \
             AND (m.expires IS NULL OR m.expires > ?2) \
             AND NOT EXISTS (SELECT 1 FROM brighter_broker_held h WHERE h.seq = m.seq) \
             ORDER BY m.priority DESC, m.seq LIMIT ?3",
        )
        .bind(demand.channel)
        .bind(self.now)
        .bind(demand.rows)
        .fetch_all(&mut *self.file)
        .await?;
        if !rows.is_empty() {
            let seqs: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
            sqlx::query(
                "INSERT INTO brighter_broker_held (seq, session) SELECT value, ?1 FROM json_each(?2) WHERE true",
            )
            .bind(session)
            .bind(list(seqs))
            .execute(&mut *self.file)
            .await?;
        }
        Ok(rows)
    }

    /// Returns whether the consumer is the active one of a channel with a single active consumer, or becomes it.
    async fn is_active(&mut self, session: i64, demand: Demand) -> Result<bool, sqlx::Error> {
        // The number is returned with the same bits.
        let consumer = demand.consumer as i64;
        let active = sqlx::query(
            "UPDATE brighter_broker_channels SET active_session = ?2, active_consumer = ?3 \
             WHERE id = ?1 AND (active_session IS NULL OR (active_session = ?2 AND active_consumer = ?3)) \
             RETURNING id",
        )
        .bind(demand.channel)
        .bind(session)
        .bind(consumer)
        .fetch_optional(&mut *self.file)
        .await?;
        Ok(active.is_some())
    }

    /// Records that a consumer is gone: another may become the active one.
    pub(super) async fn leave(&mut self, session: i64, consumer: u64) -> Result<(), sqlx::Error> {
        let left = sqlx::query(
            "UPDATE brighter_broker_channels SET active_session = NULL, active_consumer = NULL \
             WHERE active_session = ?1 AND active_consumer = ?2 RETURNING id",
        )
        .bind(session)
        .bind(consumer as i64)
        .fetch_all(&mut *self.file)
        .await?;
        for row in left {
            self.touched.insert(row.try_get(0)?);
        }
        Ok(())
    }
}
