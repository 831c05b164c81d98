//! [`FileState`]: the state of the file at the beginning of a transaction, read by one statement.

use sqlx::{Row as _, SqliteConnection};

/// The state of the file at one moment.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FileState {
    pub(super) topology: i64,
    pub(super) now: i64,
    pub(super) times: Times,
    /// The end of the lease of the requested session; `None` if it does not exist or has expired.
    pub(super) alive_until: Option<i64>,
}

/// The times of the next work that is not requested by a caller.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Times {
    /// The time when the first delayed message is due.
    pub(super) due: Option<i64>,
    /// The time when the first message that no consumer holds expires.
    pub(super) expiry: Option<i64>,
    /// The time when the next other session expires.
    pub(super) death: Option<i64>,
}

impl Times {
    pub(super) fn next(&self) -> Option<i64> {
        [self.due, self.expiry, self.death].into_iter().flatten().min()
    }
}

impl FileState {
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
