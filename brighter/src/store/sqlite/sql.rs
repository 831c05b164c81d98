//! The statements of the outbox.

/// The time by the clock of the database, in milliseconds since 1970: one clock for all who share the file.
/// It stands still while a statement runs.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}

/// The ids of one parameter, a JSON array, however many they are: SQLite limits the number of parameters.
macro_rules! among_ids {
    ($parameter:literal) => {
        concat!("message_id IN (SELECT value FROM json_each(", $parameter, "))")
    };
}

pub(super) const INSERT: &str = concat!(
    "INSERT INTO brighter_outbox (message_id, topic, message_type, header, body, deposited_at, not_before, \
     dispatched_at, claimed_until, causation_id) \
     SELECT ?1, ?2, ?3, ?4, ?5, now, now, now, now + coalesce(?6, 0), ?7 FROM (SELECT ",
    now!(),
    // Without `WHERE`, SQLite takes the `ON` for that of a join.
    " AS now) WHERE true ON CONFLICT (message_id) DO NOTHING"
);

pub(super) const IS_SAME: &str = "SELECT topic = ?2 AND body = ?3 FROM brighter_outbox WHERE message_id = ?1";

/// The index is named, for SQLite would rather walk the table in the order of its key, past every message
/// that was ever dispatched. `RETURNING` gives the rows in any order.
pub(super) const CLAIM_OLDEST: &str = concat!(
    "UPDATE brighter_outbox SET claimed_until = ",
    now!(),
    " + ?1 WHERE seq IN (SELECT seq FROM brighter_outbox INDEXED BY brighter_outbox_outstanding \
     WHERE outstanding = 1 AND deposited_at <= ",
    now!(),
    " - ?2 AND not_before <= ",
    now!(),
    " AND claimed_until <= ",
    now!(),
    " ORDER BY seq LIMIT ?3) RETURNING seq, message_id, header, body, attempts"
);

pub(super) const CLAIM_IDS: &str = concat!(
    "UPDATE brighter_outbox SET claimed_until = ",
    now!(),
    " + ?1 WHERE outstanding = 1 AND claimed_until <= ",
    now!(),
    " AND ",
    among_ids!("?2"),
    " RETURNING seq, message_id, header, body, attempts"
);

pub(super) const DISPATCHED: &str = concat!(
    "UPDATE brighter_outbox SET outstanding = 0, dispatched_at = ",
    now!(),
    " WHERE outstanding = 1 AND ",
    among_ids!("?1")
);

pub(super) const FAILED: &str = concat!(
    "UPDATE brighter_outbox SET claimed_until = ",
    now!(),
    ", attempts = attempts + 1, last_error = substr(?2, 1, 2000), not_before = ",
    now!(),
    " + ?3 WHERE outstanding = 1 AND message_id = ?1"
);

/// A row that cannot be read is never due again, and says why.
pub(super) const SET_ASIDE: &str = concat!(
    "UPDATE brighter_outbox SET claimed_until = ",
    now!(),
    ", attempts = attempts + 1, last_error = substr(?2, 1, 2000), not_before = 9007199254740992 WHERE seq = ?1"
);

pub(super) const RELEASE: &str = concat!(
    "UPDATE brighter_outbox SET claimed_until = ",
    now!(),
    " WHERE outstanding = 1 AND ",
    among_ids!("?1")
);

/// A row may only become shorter: see the schema.
pub(super) const REPLAY: &str = concat!(
    "UPDATE brighter_outbox SET outstanding = 1, attempts = 0, last_error = NULL, claimed_until = ",
    now!(),
    ", not_before = ",
    now!(),
    " WHERE outstanding = 0 AND causation_id = ?1"
);

pub(super) const GET: &str = "SELECT message_id, header, body FROM json_each(?1) AS wanted \
    JOIN brighter_outbox ON message_id = wanted.value ORDER BY wanted.key";

pub(super) const STATE: &str =
    "SELECT outstanding, attempts, last_error FROM brighter_outbox WHERE message_id = ?1";

pub(super) const STATUS: &str = concat!(
    "SELECT count(*), ",
    now!(),
    " - min(deposited_at) FROM brighter_outbox INDEXED BY brighter_outbox_outstanding WHERE outstanding = 1"
);

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row};

    use crate::store::sqlite::SqliteOutbox;

    /// How SQLite goes about a statement, one line a step.
    async fn plan(outbox: &SqliteOutbox, statement: &str) -> String {
        sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
            .bind(1)
            .bind(1)
            .bind(1)
            .fetch_all(outbox.pool())
            .await
            .unwrap()
            .iter()
            .map(|row| row.get::<String, _>("detail") + "\n")
            .collect()
    }

    #[tokio::test]
    async fn no_statement_walks_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
        let by_age = "SCAN brighter_outbox USING COVERING INDEX brighter_outbox_outstanding";
        let by_id = "SEARCH brighter_outbox USING INDEX sqlite_autoindex_brighter_outbox_1 (message_id=?)";
        let by_causation = "SEARCH brighter_outbox USING INDEX brighter_outbox_causation (causation_id=?)";
        for (statement, step) in [
            (super::CLAIM_OLDEST, by_age),
            (super::STATUS, by_age),
            (super::CLAIM_IDS, by_id),
            (super::DISPATCHED, by_id),
            (super::FAILED, by_id),
            (super::RELEASE, by_id),
            (super::REPLAY, by_causation),
            (super::GET, by_id),
            (super::STATE, by_id),
            (super::IS_SAME, by_id),
        ] {
            let plan = plan(&outbox, statement).await;
            assert!(plan.contains(step), "{statement}\n{plan}");
            assert!(!plan.contains("SCAN brighter_outbox\n"), "{statement}\n{plan}");
            assert!(
                !plan.contains("TEMP B-TREE") || statement == super::GET,
                "{statement}\n{plan}"
            );
        }
    }
}
