//! [`BrokerTx`]: the changes of one transaction to the messages of the file.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::row::{self, StoredMessage};
use super::topology::FileTopology;
use brighter_core::channel::{Overflow, Rejection, RejectionKind};

/// A transaction in progress.
pub(super) struct BrokerTx<'a> {
    pub(super) file: &'a mut SqliteConnection,
    pub(super) topology: &'a mut FileTopology,
    /// The time of the whole transaction.
    pub(super) now: i64,
    /// Channels that may have new messages.
    pub(super) touched: BTreeSet<i64>,
    /// Whether a change has a due time of its own.
    pub(super) times_changed: bool,
    /// The number of further messages that fit in a channel that refuses the newest.
    pub(super) room: HashMap<i64, i64>,
    /// Channels that refused a message because they were full.
    pub(super) full: BTreeSet<i64>,
}

/// A message that is being added to a channel.
pub(super) struct MessageCopy {
    pub(super) channel: i64,
    pub(super) message: StoredMessage,
}

/// The numbers of rows that one statement inserts, with the statements: SQLite prepares each of them once.
static INSERTS: LazyLock<[(usize, Arc<str>); 3]> = LazyLock::new(|| {
    [64, 8, 1].map(|rows| {
        let mut text = String::from(
            "INSERT INTO brighter_broker_messages (channel, expires, priority, header, body) VALUES (?, ?, ?, ?, ?)",
        );
        for _ in 1..rows {
            text.push_str(", (?, ?, ?, ?, ?)");
        }
        (rows, text.into())
    })
});

const OLDEST: &str = "SELECT m.seq, m.channel, m.header, m.body FROM brighter_broker_messages m WHERE m.channel = ?1 \
     AND NOT EXISTS (SELECT 1 FROM brighter_broker_held h WHERE h.seq = m.seq) ORDER BY m.seq LIMIT ?2";

const OLDEST_OF_ONE_PRIORITY: &str = "SELECT m.seq, m.channel, m.header, m.body FROM brighter_broker_messages m \
     WHERE m.channel = ?1 AND NOT EXISTS (SELECT 1 FROM brighter_broker_held h WHERE h.seq = m.seq) \
     ORDER BY m.priority DESC, m.seq LIMIT ?2";

/// The number of due or expired messages that are moved at once.
const AT_ONCE: i64 = 1000;

impl<'a> BrokerTx<'a> {
    pub(super) fn new(file: &'a mut SqliteConnection, topology: &'a mut FileTopology, now: i64) -> Self {
        Self {
            file,
            topology,
            now,
            touched: BTreeSet::new(),
            times_changed: false,
            room: HashMap::new(),
            full: BTreeSet::new(),
        }
    }

    /// Adds messages at the end of their channels, in their order.
    pub(super) async fn append(&mut self, copies: Vec<MessageCopy>) -> Result<(), sqlx::Error> {
        let mut copies = copies.into_iter();
        for (rows, statement) in &*INSERTS {
            while copies.len() >= *rows {
                let mut insert = sqlx::query(AssertSqlSafe(Arc::clone(statement)));
                for MessageCopy { channel, message } in copies.by_ref().take(*rows) {
                    let expires = self.topology.expiry(channel, self.now);
                    self.times_changed |= expires.is_some();
                    self.touched.insert(channel);
                    insert = insert
                        .bind(channel)
                        .bind(expires)
                        .bind(self.topology.priority(channel, message.priority))
                        .bind(message.header)
                        .bind(message.body);
                }
                insert.execute(&mut *self.file).await?;
            }
        }
        Ok(())
    }

    /// Stores a message until its delay is over.
    pub(super) async fn delay(&mut self, copy: MessageCopy, delay: i64) -> Result<(), sqlx::Error> {
        self.times_changed = true;
        sqlx::query(
            "INSERT INTO brighter_broker_delayed (channel, due, priority, header, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(copy.channel)
        // The stored time has no fraction, so 1 ms is added.
        .bind(self.now.saturating_add(delay).saturating_add(1))
        .bind(copy.message.priority)
        .bind(copy.message.header)
        .bind(copy.message.body)
        .execute(&mut *self.file)
        .await
        .map(drop)
    }

    /// Adds messages whose delay is over at the end of their channels.
    pub(super) async fn bring_back_delayed(&mut self) -> Result<(), sqlx::Error> {
        self.times_changed = true;
        let due = sqlx::query(
            "SELECT seq, channel, priority, header, body FROM brighter_broker_delayed WHERE due <= ?1 ORDER BY due, seq LIMIT ?2",
        )
        .bind(self.now)
        .bind(AT_ONCE)
        .fetch_all(&mut *self.file)
        .await?;
        let (mut seqs, mut copies) = (Vec::new(), Vec::new());
        for row in due {
            seqs.push(row.try_get(0)?);
            copies.push(MessageCopy {
                channel: row.try_get(1)?,
                message: StoredMessage {
                    topic: "".into(),
                    priority: row.try_get(2)?,
                    header: row.try_get(3)?,
                    body: row.try_get(4)?,
                },
            });
        }
        self.append(copies).await?;
        sqlx::query("DELETE FROM brighter_broker_delayed WHERE seq IN (SELECT value FROM json_each(?1))")
            .bind(list(seqs))
            .execute(&mut *self.file)
            .await
            .map(drop)
    }

    /// Moves expired messages to the dead-letter channel.
    pub(super) async fn set_expired_aside(&mut self) -> Result<(), sqlx::Error> {
        self.times_changed = true;
        let expired = sqlx::query(
            "SELECT m.seq, m.channel, m.header, m.body FROM brighter_broker_messages m \
             WHERE m.expires IS NOT NULL AND m.expires <= ?1 \
             AND NOT EXISTS (SELECT 1 FROM brighter_broker_held h WHERE h.seq = m.seq) \
             ORDER BY m.expires, m.seq LIMIT ?2",
        )
        .bind(self.now)
        .bind(AT_ONCE)
        .fetch_all(&mut *self.file)
        .await?;
        self.set_aside(expired, |limits| {
            let ttl = limits.time_to_live.unwrap_or_default();
            format!("it waited longer than {ttl:?}")
        })
        .await
    }

    /// Counts an unsettled delivery of each message. Messages at their limit go to the dead-letter channel.
    pub(super) async fn count_redelivery(&mut self, seqs: &[i64]) -> Result<(), sqlx::Error> {
        if seqs.is_empty() {
            return Ok(());
        }
        let counted = sqlx::query(
            "UPDATE brighter_broker_messages SET redeliveries = redeliveries + 1 \
             WHERE seq IN (SELECT value FROM json_each(?1)) RETURNING seq, channel, redeliveries",
        )
        .bind(list(seqs.iter().copied()))
        .fetch_all(&mut *self.file)
        .await?;
        let mut too_often = Vec::new();
        for row in counted {
            let (seq, channel, redeliveries): (i64, i64, u32) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            self.touched.insert(channel);
            let limits = self.topology.limits(channel);
            if limits
                .and_then(|limits| limits.deliveries)
                .is_some_and(|most| redeliveries >= most)
            {
                too_often.push(seq);
            }
        }
        // Their time to live may have expired meanwhile.
        self.times_changed = true;
        if too_often.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query(
            "SELECT seq, channel, header, body FROM brighter_broker_messages \
             WHERE seq IN (SELECT value FROM json_each(?1)) ORDER BY seq",
        )
        .bind(list(too_often))
        .fetch_all(&mut *self.file)
        .await?;
        self.set_aside(rows, |limits| {
            let most = limits.deliveries.unwrap_or_default();
            format!("it was delivered {most} times and never settled")
        })
        .await
    }

    /// Moves messages, as rows of `seq, channel, header, body`, to the dead-letter channels of their channels.
    async fn set_aside(
        &mut self,
        rows: Vec<sqlx::sqlite::SqliteRow>,
        why: fn(&brighter_core::channel::ChannelLimits) -> String,
    ) -> Result<(), sqlx::Error> {
        let (mut seqs, mut copies) = (Vec::new(), Vec::new());
        for row in rows {
            let (seq, channel): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let Some(known) = self.topology.channel(channel) else {
                continue;
            };
            let to = known.dead_letters.as_ref();
            let Some(to) = to.and_then(|name| self.topology.find(name)) else {
                continue;
            };
            let rejection = Rejection::new(RejectionKind::DeadLetter, why(&known.limits));
            let message =
                row::message(&row, 2).unwrap_or_else(|_| row::salvaged(&row, 2, known.name.as_str()));
            // A stored message can be stored again, with a few more headers.
            let Ok(message) = StoredMessage::set_aside(&message, &rejection) else {
                continue;
            };
            seqs.push(seq);
            copies.push(MessageCopy { channel: to, message });
        }
        self.append(copies).await?;
        self.delete(&list(seqs)).await
    }

    pub(super) async fn delete(&mut self, seqs: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM brighter_broker_messages WHERE seq IN (SELECT value FROM json_each(?1))")
            .bind(seqs)
            .execute(&mut *self.file)
            .await
            .map(drop)
    }

    /// Returns the number of messages that wait in a channel, without those that are held by a consumer.
    pub(super) async fn waiting(&mut self, channel: i64) -> Result<i64, sqlx::Error> {
        depth(self.file, channel).await
    }

    /// Dead-letters the oldest messages of channels that exceed their length. That may make another channel too long.
    /// No channel is visited twice, so two channels that are each other's dead-letter channels do not loop.
    pub(super) async fn trim(&mut self) -> Result<(), sqlx::Error> {
        let mut seen = BTreeSet::new();
        while let Some(channel) = self.touched.difference(&seen).next().copied() {
            seen.insert(channel);
            let Some(limits) = self.topology.limits(channel) else {
                continue;
            };
            let (Some(length), Overflow::DeadLetterOldest) = (limits.length, limits.overflow) else {
                continue;
            };
            // If all messages have one priority, the index sorts them by age.
            let oldest = match limits.priorities {
                None => OLDEST_OF_ONE_PRIORITY,
                Some(_) => OLDEST,
            };
            let over = self.waiting(channel).await?.saturating_sub(i64::from(length));
            if over <= 0 {
                continue;
            }
            let oldest = sqlx::query(oldest)
                .bind(channel)
                .bind(over)
                .fetch_all(&mut *self.file)
                .await?;
            self.set_aside(oldest, |limits| {
                let length = limits.length.unwrap_or_default();
                format!("the channel holds {length} messages at most, and newer ones came")
            })
            .await?;
        }
        Ok(())
    }
}

/// Returns the number of messages that wait in a channel, without those that are held by a consumer.
pub(super) async fn depth(file: &mut SqliteConnection, channel: i64) -> Result<i64, sqlx::Error> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM brighter_broker_messages WHERE channel = ?1) \
         - (SELECT count(*) FROM brighter_broker_held h JOIN brighter_broker_messages m ON m.seq = h.seq \
            WHERE m.channel = ?1)",
    )
    .bind(channel)
    .fetch_one(file)
    .await?;
    row.try_get(0)
}

/// Returns numbers as one value of a statement: the number of values has a limit.
pub(super) fn list(numbers: impl IntoIterator<Item = i64>) -> String {
    let mut text = String::from("[");
    for (index, number) in numbers.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{number}");
    }
    text.push(']');
    text
}
