//! One [`Cycle`] of the engine: all that is to be done, as one transaction, so that one sync of the disk is for
//! hundreds of messages.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqliteConnection};

use super::change::Change;
use super::desk::{Posting, Settled};
use super::settling::Fate;
use super::state::{State, Times};
use super::temporary;
use super::topology::Topology;
use crate::database::backend::Work;
use crate::database::error::DatabaseError;
use crate::database::value::Sql;
use brighter_core::channel::PublishError;

/// What is to be done.
pub(super) struct Cycle<'a> {
    pub(super) topology: &'a mut Topology,
    /// The session, if there is one.
    pub(super) session: Option<i64>,
    /// Whether there has to be one, for there are consumers.
    pub(super) needs_session: bool,
    /// How long a session is alive that says nothing, in milliseconds.
    pub(super) lease: i64,
    pub(super) settled: &'a [Settled],
    pub(super) postings: &'a mut [Posting],
    pub(super) wants: &'a [Want],
    /// Consumers that are gone and may have been the active ones of their channels.
    pub(super) left: &'a [u64],
}

/// How many messages of a channel the consumers of this process have room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    pub(super) channel: i64,
    /// The oldest of them: the one that gets messages, where only one does.
    pub(super) consumer: u64,
    pub(super) rows: u32,
    /// Whether there may be any, besides what comes by this very cycle.
    pub(super) may_have: bool,
}

/// What was done.
#[derive(Default)]
pub(super) struct Done {
    /// The session that there is now.
    pub(super) session: Option<i64>,
    /// Until when it is alive.
    pub(super) alive_until: i64,
    /// The session that there was had been taken for dead, and what it had in hand was given to others.
    pub(super) session_was_lost: bool,
    /// What became of each that was settled, in the same order.
    pub(super) fates: Vec<Fate>,
    /// What became of each message of each posting, in the same order.
    pub(super) posted: Vec<Vec<Result<(), PublishError>>>,
    /// What consumers get, by channel; with less than was wanted when there is no more.
    pub(super) claimed: HashMap<i64, Vec<SqliteRow>>,
    pub(super) times: Times,
}

impl Work<Sqlite> for Cycle<'_> {
    type Done = Done;
    type Error = DatabaseError;

    async fn run(self, file: &mut SqliteConnection) -> Result<Done, DatabaseError> {
        run(self, file).await.map_err(Sqlite::sort)
    }
}

async fn run(cycle: Cycle<'_>, file: &mut SqliteConnection) -> Result<Done, sqlx::Error> {
    let Cycle {
        topology,
        session,
        needs_session,
        lease,
        settled,
        postings,
        wants,
        left,
    } = cycle;
    let state = State::read(&mut *file, session).await?;
    if state.topology != topology.version {
        *topology = Topology::load(state.topology, file).await?;
    }
    let mut done = Done::default();
    let alive = session.filter(|_| state.alive_until.is_some());
    done.session_was_lost = session.is_some() && alive.is_none();

    let mut change = Change::new(file, topology, state.now);
    (done.session, done.alive_until) = match (alive, needs_session) {
        (None, false) => (None, 0),
        (None, true) => change.begin_session(lease).await?,
        (Some(session), _) => {
            let until = state.alive_until.unwrap_or_default();
            change.keep_session(session, until, lease).await?
        }
    };
    if is_past(state.times.death, state.now) {
        change.bury_sessions(done.session).await?;
    }
    if is_past(state.times.due, state.now) {
        change.bring_back_delayed().await?;
    }
    if is_past(state.times.expiry, state.now) {
        change.set_expired_aside().await?;
    }
    done.fates = change.settle(alive, settled).await?;
    done.posted = change.publish(postings).await?;
    change.trim().await?;
    if let Some(session) = done.session {
        for seat in left {
            change.leave(session, *seat).await?;
        }
        for want in wants {
            if want.may_have || change.touched.contains(&want.channel) {
                let rows = change.claim(session, *want).await?;
                done.claimed.insert(want.channel, rows);
            }
        }
    }
    let times_changed = change.times_changed;
    done.times = if times_changed {
        State::read(file, done.session).await?.times
    } else {
        state.times
    };
    Ok(done)
}

fn is_past(time: Option<i64>, now: i64) -> bool {
    time.is_some_and(|time| time <= now)
}

/// The end of a session: what it has in hand goes back.
pub(super) struct EndSession<'a> {
    pub(super) topology: &'a mut Topology,
    pub(super) session: i64,
}

impl Work<Sqlite> for EndSession<'_> {
    type Done = ();
    type Error = DatabaseError;

    async fn run(self, file: &mut SqliteConnection) -> Result<(), DatabaseError> {
        let now = State::read(&mut *file, None).await.map_err(Sqlite::sort)?.now;
        let mut change = Change::new(file, self.topology, now);
        let ended = async {
            change.bury(&[self.session]).await?;
            change.trim().await
        };
        ended.await.map_err(Sqlite::sort)
    }
}

/// Begins a session; says until when it is alive.
pub(super) async fn begin_session(
    now: i64,
    lease: i64,
    file: &mut SqliteConnection,
) -> Result<(i64, i64), sqlx::Error> {
    let until = now.saturating_add(lease);
    let row = sqlx::query("INSERT INTO brighter_broker_sessions (alive_until) VALUES (?1) RETURNING id")
        .bind(until)
        .fetch_one(file)
        .await?;
    Ok((row.try_get(0)?, until))
}

impl Change<'_> {
    async fn begin_session(&mut self, lease: i64) -> Result<(Option<i64>, i64), sqlx::Error> {
        let (session, until) = begin_session(self.now, lease, self.file).await?;
        Ok((Some(session), until))
    }

    /// Says that the session is alive, if it is some time since it was said.
    async fn keep_session(
        &mut self,
        session: i64,
        until: i64,
        lease: i64,
    ) -> Result<(Option<i64>, i64), sqlx::Error> {
        if until.saturating_sub(self.now) > lease - lease / 3 {
            return Ok((Some(session), until));
        }
        let until = self.now.saturating_add(lease);
        sqlx::query("UPDATE brighter_broker_sessions SET alive_until = ?2 WHERE id = ?1")
            .bind(session)
            .bind(until)
            .execute(&mut *self.file)
            .await?;
        Ok((Some(session), until))
    }

    /// Gives back what the dead had in hand.
    async fn bury_sessions(&mut self, but: Option<i64>) -> Result<(), sqlx::Error> {
        let dead =
            sqlx::query("SELECT id FROM brighter_broker_sessions WHERE alive_until <= ?1 AND id <> ?2")
                .bind(self.now)
                .bind(but.unwrap_or(0))
                .fetch_all(&mut *self.file)
                .await?;
        let dead: Vec<i64> = dead.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        if !dead.is_empty() {
            tracing::warn!(
                sessions = ?dead,
                "processes that consumed from this file have said nothing for too long; what they had in hand is \
                 delivered again"
            );
            self.bury(&dead).await?;
        }
        Ok(())
    }

    async fn bury(&mut self, sessions: &[i64]) -> Result<(), sqlx::Error> {
        self.times_changed = true;
        let sessions = super::change::list(sessions.iter().copied());
        let held = sqlx::query(
            "DELETE FROM brighter_broker_held WHERE session IN (SELECT value FROM json_each(?1)) RETURNING seq",
        )
        .bind(&sessions)
        .fetch_all(&mut *self.file)
        .await?;
        let held: Vec<i64> = held.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        self.count_redelivery(&held).await?;
        if temporary::bury(&sessions, self.file).await? {
            // What is published from here on is not for them.
            let version = State::read(&mut *self.file, None).await?.topology;
            *self.topology = Topology::load(version, &mut *self.file).await?;
        }
        for statement in [
            "UPDATE brighter_broker_channels SET active_session = NULL, active_consumer = NULL \
             WHERE active_session IN (SELECT value FROM json_each(?1))",
            "DELETE FROM brighter_broker_sessions WHERE id IN (SELECT value FROM json_each(?1))",
        ] {
            sqlx::query(statement)
                .bind(&sessions)
                .execute(&mut *self.file)
                .await?;
        }
        Ok(())
    }
}
