//! The statements whose use of an index the tests of every database check.

use super::SqlOutbox;

impl<B> SqlOutbox<B> {
    /// Returns every statement that must find its rows by an index, with the columns of the index.
    pub(crate) fn statements(&self) -> Vec<(&str, &'static str)> {
        let all = &self.statements;
        let others = [
            (&all.keep, "id"),
            (&all.forget, "id"),
            (&all.again, "id"),
            (&all.claim_ids_except.rows, "id"),
            (&all.status, "age"),
            (&all.count, "age"),
            (&all.dead, "death"),
            (&all.claim_ids.rows, "id"),
            (&all.dispatched, "id"),
            (&all.failed, "id"),
            (&all.release, "id"),
            (&all.revive, "id"),
            (&all.get, "id"),
            (&all.state, "id"),
            (&all.is_same, "id"),
            (&all.replay, "causation"),
            (&all.outstanding_of, "causation"),
            (&all.reschedule, "id"),
            (&all.cancel, "id"),
            (&all.scheduled, "schedule"),
            (&all.due, "time"),
            (&all.make_due, "id"),
        ]
        .map(|(statement, by)| (&*statement.text, by));
        [self.claims(), others.into()].concat()
    }

    /// Returns those of these statements whose transaction begins like one that claims.
    pub(crate) fn claims(&self) -> Vec<(&str, &'static str)> {
        let all = &self.statements;
        [
            (&all.claim_oldest.rows, "age"),
            (&all.claim_oldest_except.rows, "age and topic"),
            (&all.claim_of_topic.rows, "topic"),
            (&all.next, "topic"),
            (&all.old, "dispatch"),
            (&all.long_dead, "death"),
        ]
        .map(|(statement, by)| (&*statement.text, by))
        .into()
    }
}
