//! [`WriteBatch`]: all pending work as one transaction, so that one sync of the disk serves hundreds of messages.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, SqliteConnection};

use super::broker_tx::BrokerTx;
use super::demand::Demand;
use super::request::{Posting, Settled};
use super::settling::SettleOutcome;
use super::state::{FileState, Times};
use super::topology::FileTopology;
use crate::database::backend::Operation;
use crate::database::error::DatabaseError;
use crate::database::value::Sql;
use brighter_core::channel::PublishError;

/// The pending work.
pub(super) struct WriteBatch<'a> {
    pub(super) topology: &'a mut FileTopology,
    /// The session, if there is one.
    pub(super) session: Option<i64>,
    /// Whether a session is needed, because there are consumers.
    pub(super) needs_session: bool,
    /// The lease of a session that is not renewed, in milliseconds.
    pub(super) lease: i64,
    pub(super) settled: &'a [Settled],
    pub(super) postings: &'a mut [Posting],
    pub(super) demands: &'a [Demand],
    /// Consumers that are gone and may have been the active ones of their channels.
    pub(super) left: &'a [u64],
}

/// The results of the work.
#[derive(Default)]
pub(super) struct WriteBatchOutput {
    /// The current session.
    pub(super) session: Option<i64>,
    /// The end of its lease.
    pub(super) alive_until: i64,
    /// Whether the previous session had expired, and its messages were given to others.
    pub(super) session_was_lost: bool,
    /// The outcome of each settlement, in the same order.
    pub(super) outcomes: Vec<SettleOutcome>,
    /// The result of each message of each posting, in the same order.
    pub(super) posted: Vec<Vec<Result<(), PublishError>>>,
    /// Channels that refuse the newest and were checked for room, each with whether it was full.
    pub(super) asked: Vec<(i64, bool)>,
    /// The claimed messages by channel; fewer than requested if there are no more.
    pub(super) claimed: HashMap<i64, Vec<SqliteRow>>,
    pub(super) times: Times,
}

impl Operation<Sqlite> for WriteBatch<'_> {
    type Output = WriteBatchOutput;
    type Error = DatabaseError;

    async fn run(self, file: &mut SqliteConnection) -> Result<WriteBatchOutput, DatabaseError> {
        run(self, file).await.map_err(Sqlite::sort)
    }
}

async fn run(batch: WriteBatch<'_>, file: &mut SqliteConnection) -> Result<WriteBatchOutput, sqlx::Error> {
    let WriteBatch {
        topology,
        session,
        needs_session,
        lease,
        settled,
        postings,
        demands,
        left,
    } = batch;
    let state = FileState::read(&mut *file, session).await?;
    if state.topology != topology.version {
        *topology = FileTopology::load(state.topology, file).await?;
    }
    let mut done = WriteBatchOutput::default();
    let alive = session.filter(|_| state.alive_until.is_some());
    done.session_was_lost = session.is_some() && alive.is_none();

    let mut tx = BrokerTx::new(file, topology, state.now);
    (done.session, done.alive_until) = match (alive, needs_session) {
        (None, false) => (None, 0),
        (None, true) => tx.begin_session(lease).await?,
        (Some(session), _) => {
            let until = state.alive_until.unwrap_or_default();
            tx.keep_session(session, until, lease).await?
        }
    };
    if is_past(state.times.death, state.now) {
        tx.bury_sessions(done.session).await?;
    }
    if is_past(state.times.due, state.now) {
        tx.bring_back_delayed().await?;
    }
    if is_past(state.times.expiry, state.now) {
        tx.set_expired_aside().await?;
    }
    done.outcomes = tx.settle(alive, settled).await?;
    done.posted = tx.publish(postings).await?;
    done.asked = tx
        .room
        .keys()
        .map(|channel| (*channel, tx.full.contains(channel)))
        .collect();
    tx.trim().await?;
    if let Some(session) = done.session {
        for consumer in left {
            tx.leave(session, *consumer).await?;
        }
        for demand in demands {
            if demand.may_have || tx.touched.contains(&demand.channel) {
                let rows = tx.claim(session, *demand).await?;
                done.claimed.insert(demand.channel, rows);
            }
        }
    }
    let times_changed = tx.times_changed;
    done.times = if times_changed {
        FileState::read(file, done.session).await?.times
    } else {
        state.times
    };
    Ok(done)
}

fn is_past(time: Option<i64>, now: i64) -> bool {
    time.is_some_and(|time| time <= now)
}
