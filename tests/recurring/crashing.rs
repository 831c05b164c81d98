//! One to three processes fire the schedules of one database, and one of them dies at each step.

use std::sync::Barrier;
use std::thread;

use brighter::outbox::{Inspection, ScheduleChange, Schedules};
use brighter::schedule::{Missed, Recurring, cron};
use brighter::testing::eventually;
use brighter::testing::fault_points::{Action, Plan, Rule};
use brighter::{MySqlOutbox, PostgresOutbox, SqliteOutbox};
use brighter_tests::databases;

use super::*;

/// Between the looks of a sweeper.
const OFTEN: Duration = Duration::from_millis(30);

/// Each step on the way of an occurrence, and how the process that takes it goes wrong there.
const STEPS: &[(&str, usize, Action)] = &[
    ("schedule.register", 1, Action::Die),
    ("schedule.look", 1, Action::Die),
    ("schedule.look", 2, Action::Error),
    ("schedule.fire", 1, Action::Die),
    ("schedule.fire", 1, Action::Error),
    ("schedule.fired", 1, Action::Die),
    ("outbox.row", 1, Action::Die),
    ("outbox.row", 2, Action::Error),
    ("database.commit", 1, Action::Die),
    ("database.commit", 2, Action::Die),
    ("database.committed", 1, Action::Die),
    ("database.committed", 2, Action::Error),
    ("sweep.claimed", 1, Action::Die),
];

/// New Year of each year since 2020 is made up for: a number that no test waits for to change.
fn schedules() -> [Recurring<Report>; 2] {
    let missed = Missed::All {
        within: 100 * 365 * DAY,
        at_most: 1_000,
    };
    let yearly = |name: &str| Recurring::new(name, cron!("0 0 1 1 *")).missed(missed);
    [yearly("a"), yearly("b")]
}

/// The years from 2020 to this one.
fn years() -> u64 {
    let now = SystemTime::now()
        .duration_since(time("2020-01-01T00:00:00Z"))
        .unwrap();
    now.as_secs() / (365 * 24 * 3600 + 6 * 3600) + 1
}

/// Sets the schedules back to 2020.
async fn rewind(outbox: &impl Outbox) {
    let schedules = outbox.schedules().unwrap();
    for name in ["a", "b"] {
        eventually("the schedule was rewound", async || {
            let mut row = schedules
                .find_schedules(&[name.to_owned()])
                .await
                .ok()?
                .rows
                .pop()?;
            row.next_at = Some(time("2020-01-01T00:00:00Z"));
            row.due_at = row.next_at;
            let made = schedules
                .apply_schedules(&[ScheduleChange::advance(row, Vec::new())])
                .await;
            made.ok()?.contains(&true).then_some(())
        })
        .await;
    }
}

async fn is_fired(outbox: &impl Outbox) -> bool {
    let names = ["a".to_owned(), "b".to_owned()];
    match outbox.schedules().unwrap().find_schedules(&names).await {
        Ok(found) => found.rows.len() == 2 && found.rows.iter().all(|row| row.next_at > Some(found.now)),
        Err(_) => false,
    }
}

/// Runs one process until all is fired, or until it dies. Each is a thread with a runtime of its own.
fn process<O: Outbox>(open: impl AsyncFn() -> O, rules: Vec<Rule>, begin: &Barrier) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let outbox = Arc::new(open().await);
        let plan = Plan::new(rules);
        let _installed = plan.install();
        begin.wait();
        let living = async {
            let processor = processor_that_looks(OFTEN, Shared(Arc::clone(&outbox)), schedules());
            eventually("all is fired", async || is_fired(&*outbox).await.then_some(())).await;
            processor.close().await;
        };
        tokio::select! {
            biased;
            () = plan.died() => {}
            () = living => {}
        }
    });
    runtime.shutdown_timeout(5 * SECOND);
}

/// The same outbox, for a processor and for what looks on.
struct Shared<O>(Arc<O>);

macro_rules! forward {
    ($($method:ident($($arg:ident: $type:ty),*) -> $output:ty;)*) => {
        $(fn $method<'a>(&'a self, $($arg: $type),*) -> futures_util::future::BoxFuture<'a, Result<$output, brighter::outbox::OutboxError>> {
            self.0.$method($($arg),*)
        })*
    };
}

impl<O: Outbox> Outbox for Shared<O> {
    forward! {
        deposit(messages: &'a [BrighterMessage], lease: Option<Duration>) -> Vec<MessageId>;
        claim(which: Claim<'a>, lease: Duration) -> Vec<brighter::outbox::Claimed>;
        mark_dispatched(ids: &'a [MessageId]) -> ();
        mark_failed(failures: &'a [brighter::outbox::Failure]) -> ();
        release(ids: &'a [MessageId]) -> ();
    }

    fn status(
        &self,
    ) -> futures_util::future::BoxFuture<
        '_,
        Result<brighter::outbox::OutboxStatus, brighter::outbox::OutboxError>,
    > {
        self.0.status()
    }

    fn inspection(&self) -> Option<&dyn Inspection> {
        self.0.inspection()
    }

    fn schedules(&self) -> Option<&dyn Schedules> {
        self.0.schedules()
    }
}

/// Returns what is deposited, as soon as it is this much. A sweep that was cut short when its processor was closed may
/// hold some of it locked for a moment longer, and a claim leaves out what is locked.
async fn all_deposited(outbox: &impl Outbox, expected: u64) -> Vec<BrighterMessage> {
    let mut all = Vec::new();
    eventually("all that is deposited is free", async || {
        all.extend(deposited(outbox).await);
        let outstanding = outbox.status().await.ok()?.outstanding;
        (all.len() as u64 >= outstanding.max(expected)).then_some(())
    })
    .await;
    all
}

/// Has one of so many processes go wrong at each step, in a database of its own each time. `counts` are the numbers of
/// processes for the step at this place.
fn at_every_step<K: Sync, O: Outbox>(
    counts: impl Fn(usize) -> Vec<usize>,
    new: impl AsyncFn() -> K,
    open: impl AsyncFn(&K) -> O + Sync,
) {
    // With a thread of its own: a connection whose transaction was cut short is rolled back by a task, and until that
    // has run, the others find its rows locked.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    for (place, (point, passing, action)) in STEPS.iter().enumerate() {
        for processes in counts(place) {
            let kept = runtime.block_on(async {
                let kept = new().await;
                // The rows are there, as after a first start, and everything is due at once.
                let outbox = open(&kept).await;
                if *point != "schedule.register" {
                    let processor =
                        processor_that_looks(OFTEN, Shared(Arc::new(open(&kept).await)), schedules());
                    rewind(&outbox).await;
                    processor.close().await;
                    rewind(&outbox).await;
                }
                kept
            });
            let (begin, open) = (Barrier::new(processes), &open);
            thread::scope(|scope| {
                for number in 0..processes {
                    let rules = (number == 0).then(|| Rule::new(*point, *passing, *action));
                    let (kept, begin) = (&kept, &begin);
                    scope.spawn(move || {
                        process(async || open(kept).await, rules.into_iter().collect(), begin)
                    });
                }
            });
            runtime.block_on(async {
                let outbox = open(&kept).await;
                // The process that is started in the place of a dead one.
                process_again(&outbox, async || open(&kept).await).await;
                let expected = if *point == "schedule.register" {
                    0
                } else {
                    2 * years()
                };
                let fired = all_deposited(&outbox, expected).await;
                let mut times: Vec<_> = fired
                    .iter()
                    .map(|message| {
                        let one = occurrence_of(message);
                        (one.schedule, one.local)
                    })
                    .collect();
                times.sort();
                let all = times.len();
                times.dedup();
                let told = format!("{point}#{passing}={action:?} with {processes} processes: {times:?}");
                assert_eq!(times.len(), all, "{told}");
                assert_eq!(all as u64, expected, "{told}");
            });
            drop(kept);
        }
    }
}

async fn process_again<O: Outbox>(outbox: &O, open: impl AsyncFn() -> O) {
    if is_fired(outbox).await {
        return;
    }
    let processor = processor_that_looks(OFTEN, Shared(Arc::new(open().await)), schedules());
    eventually("all is fired", async || is_fired(outbox).await.then_some(())).await;
    processor.close().await;
}

/// Each step once, with one process to three in turn: on a server most of a run is making its tables.
fn one_to_three(place: usize) -> Vec<usize> {
    vec![1 + place % 3]
}

#[test]
fn no_death_loses_or_doubles_an_occurrence_in_sqlite() {
    at_every_step(
        |_| vec![1, 2, 3],
        async || tempfile::tempdir().unwrap(),
        async |folder| SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap(),
    );
}

#[test]
fn no_death_loses_or_doubles_an_occurrence_in_postgres() {
    at_every_step(
        one_to_three,
        databases::Postgres::new,
        async |schema: &databases::Postgres| PostgresOutbox::from_pool(schema.pool().await).await.unwrap(),
    );
}

#[test]
fn no_death_loses_or_doubles_an_occurrence_in_mysql() {
    at_every_step(
        one_to_three,
        databases::MySql::new,
        async |database: &databases::MySql| MySqlOutbox::from_pool(database.pool().await).await.unwrap(),
    );
}
