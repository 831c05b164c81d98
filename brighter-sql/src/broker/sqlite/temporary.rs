//! Temporary channels: each belongs to one session, and is removed with it.

use sqlx::{Row as _, Sqlite, SqliteConnection};

use super::broker_tx::list;
use crate::database::backend::Operation;
use crate::database::error::DatabaseError;
use crate::database::value::Sql;

/// Assigns the channel to this session.
pub(super) async fn claim(
    channel: i64,
    session: i64,
    file: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO brighter_broker_temporary (channel, session) VALUES (?1, ?2) \
         ON CONFLICT (channel) DO UPDATE SET session = excluded.session",
    )
    .bind(channel)
    .bind(session)
    .execute(file)
    .await
    .map(drop)
}

/// Removes the channels of expired sessions, a list of them; returns whether there were any.
pub(super) async fn bury(sessions: &str, file: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let channels = sqlx::query(
        "SELECT channel FROM brighter_broker_temporary WHERE session IN (SELECT value FROM json_each(?1))",
    )
    .bind(sessions)
    .fetch_all(&mut *file)
    .await?;
    let channels: Vec<i64> = channels
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    take_out(&channels, file).await?;
    Ok(!channels.is_empty())
}

/// Removes a temporary channel that no longer has a consumer.
pub(super) struct Leave(pub(super) i64);

impl Operation<Sqlite> for Leave {
    type Output = ();
    type Error = DatabaseError;

    async fn run(self, file: &mut SqliteConnection) -> Result<(), DatabaseError> {
        let found = sqlx::query("SELECT 1 FROM brighter_broker_temporary WHERE channel = ?1")
            .bind(self.0)
            .fetch_optional(&mut *file)
            .await
            .map_err(Sqlite::sort)?;
        if found.is_some() {
            take_out(&[self.0], file).await.map_err(Sqlite::sort)?;
        }
        Ok(())
    }
}

/// Removes a channel, even if it has consumers.
pub(super) struct TakeOut(pub(super) i64);

impl Operation<Sqlite> for TakeOut {
    type Output = ();
    type Error = DatabaseError;

    async fn run(self, file: &mut SqliteConnection) -> Result<(), DatabaseError> {
        take_out(&[self.0], file).await.map_err(Sqlite::sort)
    }
}

/// Removes channels with all their messages.
async fn take_out(channels: &[i64], file: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    if channels.is_empty() {
        return Ok(());
    }
    let channels = list(channels.iter().copied());
    for statement in [
        "DELETE FROM brighter_broker_held WHERE seq IN (SELECT seq FROM brighter_broker_messages \
         WHERE channel IN (SELECT value FROM json_each(?1)))",
        "DELETE FROM brighter_broker_messages WHERE channel IN (SELECT value FROM json_each(?1))",
        "DELETE FROM brighter_broker_delayed WHERE channel IN (SELECT value FROM json_each(?1))",
        "DELETE FROM brighter_broker_bindings WHERE channel IN (SELECT value FROM json_each(?1))",
        "DELETE FROM brighter_broker_temporary WHERE channel IN (SELECT value FROM json_each(?1))",
        "DELETE FROM brighter_broker_channels WHERE id IN (SELECT value FROM json_each(?1))",
        // Other processes read the topology again, and channel numbers are never reused.
        "UPDATE brighter_broker SET topology = max(topology + 1, (SELECT max(value) FROM json_each(?1)))",
    ] {
        sqlx::query(statement).bind(&channels).execute(&mut *file).await?;
    }
    Ok(())
}
