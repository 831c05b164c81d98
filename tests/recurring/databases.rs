//! Schedules in real databases: many at once, and a database that goes away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use brighter::outbox::{
    Claimed, DueSchedules, Failure, FoundSchedules, OutboxError, OutboxStatus, ScheduleChange,
    ScheduleOrigin, ScheduleRow, Schedules,
};
use brighter::schedule::{Cron, Recurring, cron};
use brighter::testing::eventually;
use brighter::{MySqlOutbox, PostgresOutbox, SqliteOutbox};
use brighter_tests::databases;
use futures_util::future::BoxFuture;

use super::gate::Gate;
use super::*;

/// Between the looks of a sweeper.
const OFTEN: Duration = Duration::from_millis(30);

type Done<'a, T> = BoxFuture<'a, Result<T, OutboxError>>;

/// Counts how often its schedules are looked at and changed.
struct Counting<O> {
    inner: Arc<O>,
    looks: Arc<AtomicUsize>,
    changes: Arc<AtomicUsize>,
}

impl<O> Clone for Counting<O> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            looks: Arc::clone(&self.looks),
            changes: Arc::clone(&self.changes),
        }
    }
}

impl<O: Outbox> Counting<O> {
    fn new(inner: O) -> Self {
        Self {
            inner: Arc::new(inner),
            looks: Arc::default(),
            changes: Arc::default(),
        }
    }

    fn store(&self) -> &dyn Schedules {
        self.inner.schedules().unwrap()
    }

    fn counts(&self) -> (usize, usize) {
        (
            self.looks.load(Ordering::SeqCst),
            self.changes.load(Ordering::SeqCst),
        )
    }
}

impl<O: Outbox> Outbox for Counting<O> {
    fn deposit<'a>(
        &'a self,
        messages: &'a [BrighterMessage],
        lease: Option<Duration>,
    ) -> Done<'a, Vec<MessageId>> {
        self.inner.deposit(messages, lease)
    }

    fn claim<'a>(&'a self, which: Claim<'a>, lease: Duration) -> Done<'a, Vec<Claimed>> {
        self.inner.claim(which, lease)
    }

    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
        self.inner.mark_dispatched(ids)
    }

    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> Done<'a, ()> {
        self.inner.mark_failed(failures)
    }

    fn release<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
        self.inner.release(ids)
    }

    fn status(&self) -> Done<'_, OutboxStatus> {
        self.inner.status()
    }

    fn schedules(&self) -> Option<&dyn Schedules> {
        Some(self)
    }
}

impl<O: Outbox> Schedules for Counting<O> {
    fn due_schedules<'a>(&'a self, program: &'a str, limit: usize) -> Done<'a, DueSchedules> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.store().due_schedules(program, limit)
    }

    fn find_schedules<'a>(&'a self, names: &'a [String]) -> Done<'a, FoundSchedules> {
        self.store().find_schedules(names)
    }

    fn list_schedules<'a>(&'a self, after: Option<&'a str>, limit: usize) -> Done<'a, FoundSchedules> {
        self.store().list_schedules(after, limit)
    }

    fn apply_schedules<'a>(&'a self, changes: &'a [ScheduleChange]) -> Done<'a, Vec<bool>> {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.store().apply_schedules(changes)
    }
}

const MANY: usize = 10_000;

async fn ten_thousand_are_fired_in_batches(outbox: impl Outbox) {
    let outbox = Counting::new(outbox);
    let adding = processor_that_looks(OFTEN, outbox.clone(), []);
    let schedules = adding.schedules();
    // One is made as a program makes it, and the others are its copies.
    let first = Report {
        of: serde_json::from_str(
            r#"{"id":"x","schedule":"x","scheduledFor":"2026-01-01T00:00:00Z","local":"","zone":"","isMissed":false,"isOnRequest":false}"#,
        )
        .unwrap(),
    };
    assert!(
        schedules
            .add("first", Cron::parse("0 0 1 1 *").unwrap(), first)
            .await
            .unwrap()
    );
    adding.close().await;
    let found = outbox.find_schedules(&["first".to_owned()]).await.unwrap();
    let (now, template) = (found.now, &found.rows[0]);
    let rows: Vec<_> = (1..MANY)
        .map(|number| {
            let mut row =
                ScheduleRow::new(format!("schedule {number}"), ScheduleOrigin::Runtime, "0 0 1 1 *");
            row.zone.clone_from(&template.zone);
            row.settings.clone_from(&template.settings);
            row.template.clone_from(&template.template);
            row.next_at = template.next_at;
            row.due_at = template.due_at;
            // Requested by hand, as the next time of the schedule is the first of January.
            row.run_at = Some(now - SECOND);
            row.due_at = row.run_at;
            ScheduleChange::add(row)
        })
        .collect();
    for some in rows.chunks(1_000) {
        assert!(
            outbox
                .store()
                .apply_schedules(some)
                .await
                .unwrap()
                .iter()
                .all(|made| *made)
        );
    }
    let mut first = template.clone();
    first.run_at = Some(now - SECOND);
    first.due_at = first.run_at;
    outbox
        .store()
        .apply_schedules(&[ScheduleChange::advance(first, Vec::new())])
        .await
        .unwrap();

    let before = outbox.counts();
    let began = Instant::now();
    let processor = processor_that_looks(OFTEN, outbox.clone(), []);
    let deposited = async {
        while outbox.status().await.unwrap().outstanding < MANY as u64 {
            tokio::time::sleep(OFTEN).await;
        }
    };
    let deposited = tokio::time::timeout(brighter_tests::wait::deadline(), deposited).await;
    deposited.expect("all are deposited");
    println!("{MANY} schedules: {:?}", began.elapsed());
    let fired = outbox.counts();
    assert_eq!(fired.1 - before.1, MANY / 500, "500 in each transaction");
    assert!(
        fired.0 - before.0 <= MANY / 500 + 2,
        "one look for each, and one that finds nothing"
    );

    // 10,000 that sleep cost one look in each interval, and no write.
    eventually("it has looked again", async || {
        (outbox.counts().0 >= fired.0 + 3).then_some(())
    })
    .await;
    assert_eq!(outbox.counts().1, fired.1);
    processor.close().await;
}

#[tokio::test]
async fn ten_thousand_are_fired_in_batches_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    ten_thousand_are_fired_in_batches(outbox).await;
}

#[tokio::test]
async fn ten_thousand_are_fired_in_batches_in_postgres() {
    let schema = databases::Postgres::new().await;
    let outbox = PostgresOutbox::from_pool(schema.pool().await).await.unwrap();
    ten_thousand_are_fired_in_batches(outbox).await;
}

#[tokio::test]
async fn ten_thousand_are_fired_in_batches_in_mysql() {
    let database = databases::MySql::new().await;
    let outbox = MySqlOutbox::from_pool(database.pool().await).await.unwrap();
    ten_thousand_are_fired_in_batches(outbox).await;
}

#[tokio::test]
async fn missed_occurrences_are_fired_when_the_database_returns() {
    let schema = databases::Postgres::new().await;
    let outbox = PostgresOutbox::from_pool(schema.pool().await).await.unwrap();
    let gate = Gate::to(schema.address()).await;
    let behind_the_gate = PostgresOutbox::from_pool(schema.pool_by(&gate.address).await)
        .await
        .unwrap();
    let yearly = Recurring::new("a", cron!("0 0 1 1 *"));
    let processor = processor_that_looks(OFTEN, behind_the_gate, [yearly]);
    let row = eventually("it is registered", async || {
        outbox.find_schedules(&["a".to_owned()]).await.unwrap().rows.pop()
    })
    .await;
    gate.open(false);
    let mut asked = row.clone();
    asked.run_at = Some(SystemTime::now());
    asked.due_at = asked.run_at;
    let asked = ScheduleChange::advance(asked, Vec::new());
    assert_eq!(outbox.apply_schedules(&[asked]).await.unwrap(), [true]);
    eventually("the processor notices", async || {
        let health = processor.health().await;
        (!health.is_ready()).then_some(())
    })
    .await;
    assert!(deposited(&outbox).await.is_empty());
    gate.open(true);
    eventually("it is fired", async || {
        (outbox.status().await.unwrap().outstanding == 1).then_some(())
    })
    .await;
    processor.close().await;
    assert!(occurrence_of(&deposited(&outbox).await[0]).is_on_request);
}

#[tokio::test]
async fn a_reopened_file_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let open = async || SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    let yearly = || Recurring::new("a", cron!("0 0 1 1 *"));
    let processor = processor_that_looks(OFTEN, open().await, [yearly()]);
    let outbox = open().await;
    eventually("it is registered", async || {
        outbox.find_schedules(&["a".to_owned()]).await.unwrap().rows.pop()
    })
    .await;
    processor.schedules().run_now("a").await.unwrap();
    processor.close().await;
    drop(processor);
    let processor = processor_that_looks(OFTEN, open().await, [yearly()]);
    eventually("it is fired", async || {
        (outbox.status().await.unwrap().outstanding == 1).then_some(())
    })
    .await;
    processor.close().await;
}
