//! Sessions: a process holds messages for as long as it says now and then that it is alive.

use sqlx::{Row as _, Sqlite, SqliteConnection};

use super::broker_tx::{BrokerTx, list};
use super::state::FileState;
use super::temporary;
use super::topology::FileTopology;
use crate::database::backend::Operation;
use crate::database::error::DatabaseError;
use crate::database::value::Sql;

/// The end of a session: what it has in hand goes back.
pub(super) struct EndSession<'a> {
    pub(super) topology: &'a mut FileTopology,
    pub(super) session: i64,
}

impl Operation<Sqlite> for EndSession<'_> {
    type Output = ();
    type Error = DatabaseError;

    async fn run(self, file: &mut SqliteConnection) -> Result<(), DatabaseError> {
        let now = FileState::read(&mut *file, None).await.map_err(Sqlite::sort)?.now;
        let mut tx = BrokerTx::new(file, self.topology, now);
        let ended = async {
            tx.bury(&[self.session]).await?;
            tx.trim().await
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

impl BrokerTx<'_> {
    pub(super) async fn begin_session(&mut self, lease: i64) -> Result<(Option<i64>, i64), sqlx::Error> {
        let (session, until) = begin_session(self.now, lease, self.file).await?;
        Ok((Some(session), until))
    }

    /// Says that the session is alive, if it is some time since it was said.
    pub(super) async fn keep_session(
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
    pub(super) async fn bury_sessions(&mut self, but: Option<i64>) -> Result<(), sqlx::Error> {
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
        let sessions = list(sessions.iter().copied());
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
            let version = FileState::read(&mut *self.file, None).await?.topology;
            *self.topology = FileTopology::load(version, &mut *self.file).await?;
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
