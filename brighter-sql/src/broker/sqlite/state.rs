//! The [`State`] of the file at the beginning of a transaction, read by one statement.

use sqlx::{Row as _, SqliteConnection};

/// What one look at the file tells.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct State {
    pub(super) topology: i64,
    pub(super) now: i64,
    pub(super) times: Times,
    /// Until when the session that was asked for is alive; `None`, if there is none or it was taken for dead.
    pub(super) alive_until: Option<i64>,
}

/// When there is something to do although nobody asks.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Times {
    /// The first of the delayed messages is due.
    pub(super) due: Option<i64>,
    /// The first message that nobody has in hand has waited too long.
    pub(super) expiry: Option<i64>,
    /// Another session has said nothing for too long.
    pub(super) death: Option<i64>,
}

impl Times {
    pub(super) fn next(&self) -> Option<i64> {
        [self.due, self.expiry, self.death].into_iter().flatten().min()
    }
}

impl State {
    pub(super) async fn read(file: &mut SqliteConnection, session: Option<i64>) -> Result<Self, sqlx::Error> {
        let row = sqlx::query(
            "SELECT topology, CAST(unixepoch('subsec') * 1000 AS INTEGER), \
             (SELECT min(due) FROM brighter_broker_delayed), \
             (SELECT m.expires FROM brighter_broker_messages m WHERE m.expires IS NOT NULL \
              AND NOT EXISTS (SELECT 1 FROM brighter_broker_held h WHERE h.seq = m.seq) \
              ORDER BY m.expires LIMIT 1), \
             (SELECT min(alive_until) FROM brighter_broker_sessions WHERE id <> ?1), \
             (SELECT alive_until FROM brighter_broker_sessions WHERE id = ?1) FROM brighter_broker",
        )
        .bind(session.unwrap_or(0))
        .fetch_one(file)
        .await?;
        Ok(Self {
            topology: row.try_get(0)?,
            now: row.try_get(1)?,
            times: Times {
                due: row.try_get(2)?,
                expiry: row.try_get(3)?,
                death: row.try_get(4)?,
            },
            alive_until: row.try_get(5)?,
        })
    }
}
