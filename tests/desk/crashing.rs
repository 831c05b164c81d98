//! The desk dies at every step, on three databases: no message is lost, and none is handled twice by a handler with an
//! inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::desk::{
    BulkState, BulkVerb, Desk, DeskFilter, DeskStore, MySqlDesk, NewBulk, PostgresDesk, SqliteDesk,
};
use brighter::inbox::{Begun, Inbox, InboxKey};
use brighter::testing::fault_points::{Action, Plan, Rule};
use brighter::{InMemoryBroker, InMemoryInbox};
use brighter_tests::databases;
use brighter_tests::wait::deadline;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{bury, rows, shared};

const MESSAGES: usize = 6;
const TAKING: &[&str] = &[
    "desk.received",
    "database.begin",
    "database.commit",
    "database.committed",
    "desk.taken",
    "desk.acknowledged",
];
const OPERATING: &[&str] = &[
    "database.begin",
    "database.commit",
    "database.committed",
    "desk.next",
    "desk.sent",
    "desk.recorded",
    "desk.settled",
];
const CHANGING: &[&str] = &[
    "database.begin",
    "database.commit",
    "database.committed",
    "desk.applied",
];

/// A database that outlives the processes of a test.
trait Place: Sync {
    fn open(&self) -> impl Future<Output = Arc<dyn DeskStore>>;
}

struct InSqlite(tempfile::TempDir);
struct InPostgres(databases::Postgres);
struct InMySql(databases::MySql);

impl Place for InSqlite {
    async fn open(&self) -> Arc<dyn DeskStore> {
        Arc::new(SqliteDesk::open(self.0.path().join("desk.db")).await.unwrap())
    }
}

impl Place for InPostgres {
    async fn open(&self) -> Arc<dyn DeskStore> {
        Arc::new(PostgresDesk::from_pool(self.0.pool().await).await.unwrap())
    }
}

impl Place for InMySql {
    async fn open(&self) -> Arc<dyn DeskStore> {
        Arc::new(MySqlDesk::from_pool(self.0.pool().await).await.unwrap())
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// Runs the work of a process that dies at this passing of this point. Returns whether it died.
fn one_life(place: &impl Place, rule: &Rule, work: impl AsyncFnOnce(Arc<dyn DeskStore>)) -> bool {
    let runtime = runtime();
    let plan = Plan::new([rule.clone()]);
    let died = runtime.block_on(async {
        let store = place.open().await;
        let _installed = plan.install();
        tokio::select! {
            biased;
            () = plan.died() => true,
            () = work(store) => false,
        }
    });
    runtime.shutdown_background();
    died
}

/// Returns each passing at which the process dies.
fn deaths(points: &[&'static str]) -> Vec<Rule> {
    let passings = points
        .iter()
        .flat_map(|point| (1..=2).map(move |passing| (*point, passing)));
    passings
        .map(|(point, passing)| Rule::new(point, passing, Action::Die))
        .collect()
}

fn taking_survives<P: Place>(make: impl AsyncFn() -> P) {
    let mut died = 0;
    for rule in deaths(TAKING) {
        let outer = runtime();
        let place = outer.block_on(make());
        let broker = InMemoryBroker::new();
        let channel = Channel::new("orders", "Order.Placed");
        let reasons = (0..MESSAGES).map(|number| format!("no {number}"));
        outer.block_on(bury(&broker, &channel, reasons));
        let desk = |store| Desk::new(shared(broker.clone()), store).channel(&channel);
        died += usize::from(one_life(&place, &rule, async |store| {
            desk(store).take_waiting().await.unwrap();
        }));
        outer.block_on(async {
            let store = place.open().await;
            desk(Arc::clone(&store)).take_waiting().await.unwrap();
            assert_eq!(
                rows(&*store, "state=waiting and deaths=1").await.len(),
                MESSAGES,
                "{rule}"
            );
            let groups = store.groups(10).await.unwrap();
            assert_eq!(
                (groups[0].waiting, groups[0].deaths),
                (MESSAGES as u64, MESSAGES as u64),
                "{rule}"
            );
            assert_eq!(broker.messages(channel.dead_letters.clone()).len(), 0, "{rule}");
        });
    }
    assert!(died >= TAKING.len() - 1, "{died} deaths");
}

fn an_operation_survives<P: Place>(make: impl AsyncFn() -> P, verb: &BulkVerb, points: &[&'static str]) {
    let mut died = 0;
    for rule in deaths(points) {
        let outer = runtime();
        let place = outer.block_on(make());
        let broker = InMemoryBroker::new();
        let channel = Channel::new("orders", "Order.Placed");
        let handled = Arc::new(AtomicUsize::new(0));
        let id = outer.block_on(async {
            let reasons = (0..MESSAGES).map(|number| format!("no {number}"));
            bury(&broker, &channel, reasons).await;
            let desk = Desk::new(shared(broker.clone()), place.open().await).channel(&channel);
            desk.take_waiting().await.unwrap();
            let mut consumer = broker.consume(&channel).await.unwrap();
            let (inbox, handled) = (InMemoryInbox::new(), Arc::clone(&handled));
            tokio::spawn(async move {
                while let Some(Ok(delivery)) = consumer.receive().await {
                    let id = delivery.message().unwrap().header.id.clone();
                    let key = InboxKey::new(id, "test");
                    if let Begun::First(_) = inbox.begin(&key, None, Duration::from_secs(60)).await.unwrap() {
                        inbox.complete(&key).await.unwrap();
                        handled.fetch_add(1, Ordering::AcqRel);
                    }
                    delivery.ack().await.unwrap();
                }
            });
            let plan = NewBulk::new(verb.clone(), DeskFilter::default(), "ann");
            desk.begin(&plan.evidence(Duration::from_millis(20)))
                .await
                .unwrap()
                .id
        });
        let lease = Duration::from_millis(300);
        let desk = |store| Desk::new(shared(broker.clone()), store).lease(lease);
        died += usize::from(one_life(&place, &rule, async |store| {
            desk(store).work(id).await.unwrap();
        }));
        outer.block_on(async {
            let store = place.open().await;
            let done = timeout(deadline(), desk(Arc::clone(&store)).work(id)).await;
            let done = done
                .unwrap_or_else(|_| panic!("{rule}: it does not end"))
                .unwrap();
            assert_eq!(
                (done.state, done.counts.done),
                (BulkState::Done, MESSAGES as u64),
                "{rule}: {done:?}"
            );
            let (sent, state, left) = match verb {
                BulkVerb::Retry => (MESSAGES, "state=handled", MESSAGES),
                BulkVerb::Archive => (0, "state=archived", MESSAGES),
                _ => (0, "", 0),
            };
            assert_eq!(rows(&*store, state).await.len(), left, "{rule}");
            assert!(store.groups(10).await.unwrap().is_empty(), "{rule}");
            assert_eq!(handled.load(Ordering::Acquire), sent, "{rule}");
        });
        outer.shutdown_background();
    }
    assert!(died >= points.len() - 1, "{died} deaths");
}

async fn sqlite() -> InSqlite {
    InSqlite(tempfile::tempdir().unwrap())
}

async fn postgres() -> InPostgres {
    InPostgres(databases::Postgres::new().await)
}

async fn mysql() -> InMySql {
    InMySql(databases::MySql::new().await)
}

macro_rules! survives {
    ($($database:ident)*) => {
        $(mod $database {
            use super::*;

            #[test]
            fn taking_survives_a_death_at_every_step() {
                taking_survives(super::$database);
            }

            #[test]
            fn a_retry_survives_a_death_at_every_step() {
                an_operation_survives(super::$database, &BulkVerb::Retry, OPERATING);
            }

            #[test]
            fn archiving_survives_a_death_at_every_step() {
                an_operation_survives(super::$database, &BulkVerb::Archive, CHANGING);
            }

            #[test]
            fn deleting_survives_a_death_at_every_step() {
                an_operation_survives(super::$database, &BulkVerb::Delete, CHANGING);
            }
        })*
    };
}

survives! { sqlite postgres mysql }
