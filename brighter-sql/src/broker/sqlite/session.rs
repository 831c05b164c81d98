//! Sessions: a process holds messages while it renews its session.

use sqlx::{Row as _, Sqlite, SqliteConnection};

use super::broker_tx::{BrokerTx, list};
use super::state::FileState;
use super::temporary;
use super::topology::FileTopology;
use crate::database::backend::Operation;
use crate::database::error::DatabaseError;
use crate::database::value::Sql;

/// Ends a session, and returns its messages.
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

/// Begins a session, and returns it with the end of its lease.
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

    /// Renews the session, if some time has passed since the last renewal.
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

    /// Returns the messages of expired sessions.
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
                "sessions expired: other processes did not renew them in time; their unsettled messages are \
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
            // Later messages are not published to the removed channels.
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
