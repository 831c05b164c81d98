//! Posts that are unique for a time.

use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::outbox::{Archive, InvalidUniqueKey, Outbox, OutboxError};
use brighter::prelude::*;
use brighter::processor::{PostError, Posted};
use brighter_tests::databases;
use sqlx::Row as _;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Report.Build")]
struct BuildReport {
    id: MessageId,
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Report.Build", type = "Report.Send")]
struct SendReport;

fn report() -> BuildReport {
    BuildReport { id: MessageId::new() }
}

async fn broker() -> InMemoryBroker {
    let broker = InMemoryBroker::new();
    for (name, topic) in [("reports", "Report.Build"), ("urgent", "Report.Urgent")] {
        broker.declare(&Channel::new(name, topic)).await.unwrap();
    }
    broker
}

fn processor(broker: &InMemoryBroker, outbox: impl Outbox) -> CommandProcessor {
    CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox)
        .build()
        .unwrap()
}

/// Two processors that share an outbox and a broker.
async fn is_held_over_processes(outbox: impl Outbox + Clone) {
    let broker = broker().await;
    let (here, there) = (processor(&broker, outbox.clone()), processor(&broker, outbox));
    let first = report();
    let posted = here.post(first.clone()).unique_for(HOUR, "7").await.unwrap();
    assert_eq!(posted, Posted::New(first.id.clone()));
    for processor in [&here, &there] {
        match processor.post(report()).unique_for(HOUR, "7").await.unwrap() {
            Posted::Duplicate { first: id, left } => {
                assert_eq!(id, first.id);
                assert!(left <= HOUR && left > HOUR / 2, "{left:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    let again = there.post(first.clone()).unique_for(HOUR, "7").await.unwrap();
    assert!(!again.is_duplicate(), "it is the one that holds the key");
    let others = [
        there.post(report()).unique_for(HOUR, "8").await.unwrap(),
        there
            .post(report())
            .unique_for(HOUR, "7")
            .topic("Report.Urgent")
            .await
            .unwrap(),
        there.post(SendReport).unique_for(HOUR, "7").await.unwrap(),
        Posted::New(there.post(report()).await.unwrap()),
    ];
    assert!(others.iter().all(|other| !other.is_duplicate()), "{others:?}");
    assert_eq!(broker.messages("reports").len(), 4);
    assert_eq!(broker.messages("urgent").len(), 1);
}

#[tokio::test]
async fn a_key_is_held_in_memory() {
    is_held_over_processes(InMemoryOutbox::new()).await;
}

#[tokio::test]
async fn a_key_is_held_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    is_held_over_processes(SqliteOutbox::open(folder.path().join("app.db")).await.unwrap()).await;
}

#[tokio::test]
async fn a_key_is_held_in_postgres() {
    let schema = databases::Postgres::new().await;
    is_held_over_processes(PostgresOutbox::from_pool(schema.pool().await).await.unwrap()).await;
}

#[tokio::test]
async fn a_key_is_held_in_mysql() {
    let database = databases::MySql::new().await;
    is_held_over_processes(MySqlOutbox::from_pool(database.pool().await).await.unwrap()).await;
}

#[tokio::test]
async fn a_key_goes_with_the_transaction_of_a_deposit() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("app.db")).await.unwrap();
    let processor = processor(&broker().await, outbox.clone());
    let deposit = async |commits: bool| {
        let mut tx = outbox.pool().begin().await.unwrap();
        let posted = processor
            .deposit_post(&mut tx, report())
            .unique_for(HOUR, "7")
            .header("tenant", "north")
            .await
            .unwrap();
        match commits {
            true => tx.commit().await.unwrap(),
            false => tx.rollback().await.unwrap(),
        }
        posted
    };
    assert!(!deposit(false).await.is_duplicate());
    let first = deposit(true).await;
    assert!(!first.is_duplicate());
    let second = deposit(true).await;
    assert!(second.is_duplicate());
    assert_eq!(second.id(), first.id());
    let state = processor.outbox().state(first.id()).await.unwrap();
    assert!(state.is_some());
}

#[tokio::test]
async fn scheduled_posts_and_ordered_topics_hold_keys_too() {
    let broker = broker().await;
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .publication(brighter::channel::Publication::<BuildReport>::new().in_order())
        .build()
        .unwrap();
    let later = processor
        .post(report())
        .unique_for(HOUR, "later")
        .after(HOUR)
        .await
        .unwrap();
    let again = processor
        .post(report())
        .after(HOUR)
        .unique_for(HOUR, "later")
        .await
        .unwrap();
    assert!(!later.is_duplicate() && again.is_duplicate());
    assert_eq!(again.id(), later.id());
    assert!(processor.outbox().cancel(later.id()).await.unwrap());
    let again = processor.post(report()).unique_for(HOUR, "later").await.unwrap();
    assert!(again.is_duplicate(), "the key outlives its message");
    for expected in [false, true] {
        let posted = processor.post(report()).unique_for(HOUR, "now").await.unwrap();
        assert_eq!(posted.is_duplicate(), expected);
    }
    assert_eq!(broker.messages("reports").len(), 1);
}

#[tokio::test]
async fn a_handler_posts_uniquely_with_its_cause() {
    struct Asks;

    #[derive(Debug, Command)]
    struct Ask;

    #[handler]
    impl Handler<Ask> for Asks {
        async fn handle(&self, _: &Ask, cx: &Context) -> Result<(), BoxError> {
            let posted = cx.post(report()).unique_for(HOUR, "asked").await?;
            match posted.is_duplicate() {
                true => Err("a duplicate".into()),
                false => Ok(()),
            }
        }
    }

    let processor = CommandProcessor::builder()
        .handler(Asks)
        .broker(broker().await)
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    processor.send(Ask).await.unwrap();
    let error = processor.send(Ask).await.unwrap_err();
    assert!(error.report().contains("a duplicate"), "{}", error.report());
}

#[tokio::test]
async fn an_invalid_unique_key_is_refused_and_stores_nothing() {
    let broker = broker().await;
    let with = processor(&broker, InMemoryOutbox::new());
    let zero = with
        .post(report())
        .unique_for(Duration::ZERO, "7")
        .await
        .unwrap_err();
    let PostError::UniqueKey(InvalidUniqueKey::Window { .. }) = zero else {
        panic!("{zero:?}");
    };
    let long = with
        .post(report())
        .unique_for(HOUR, "x".repeat(2_000))
        .await
        .unwrap_err();
    let PostError::UniqueKey(InvalidUniqueKey::TooLong { .. }) = long else {
        panic!("{long:?}");
    };
    assert!(long.to_string().contains("use a shorter key"), "{long}");
    assert!(broker.messages("reports").is_empty());

    let without = CommandProcessor::builder()
        .broker(broker.clone())
        .build()
        .unwrap();
    let error = without.post(report()).unique_for(HOUR, "7").await.unwrap_err();
    assert!(matches!(error, PostError::NoOutbox), "{error:?}");
    assert!(error.to_string().contains("add `.outbox(…)`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_window_ends_and_the_next_post_begins_another() {
    let processor = processor(&broker().await, InMemoryOutbox::new());
    let post = || processor.post(report()).unique_for(HOUR, "7").into_future();
    assert!(!post().await.unwrap().is_duplicate());
    tokio::time::advance(HOUR - Duration::from_secs(1)).await;
    assert!(post().await.unwrap().is_duplicate());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!post().await.unwrap().is_duplicate());
    assert!(post().await.unwrap().is_duplicate());
}

/// How many keys there are in the table.
macro_rules! is_forgotten {
    ($name:ident, $make:expr) => {
        #[tokio::test]
        async fn $name() {
            let (outbox, _kept) = $make.await;
            let processor = processor(&broker().await, outbox.clone());
            let keys = async || -> i64 {
                let count = "SELECT count(*) FROM brighter_outbox_unique";
                sqlx::query(count)
                    .fetch_one(outbox.pool())
                    .await
                    .unwrap()
                    .get(0)
            };
            let short = Duration::from_millis(1);
            for number in 0..5 {
                let key = number.to_string();
                let _ = processor
                    .post(report())
                    .unique_for(short, key)
                    .await
                    .unwrap();
            }
            let _ = processor
                .post(report())
                .unique_for(HOUR, "long")
                .await
                .unwrap();
            assert_eq!(keys().await, 6);
            let archiving = outbox.archiving().unwrap();
            let mut counts = Vec::new();
            for _ in 0..100 {
                archiving
                    .archive(&Archive::dispatched(HOUR, 2))
                    .await
                    .unwrap();
                counts.push(keys().await);
                if counts.last() == Some(&1) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(counts.last(), Some(&1), "{counts:?}");
            assert!(
                counts.len() >= 3,
                "no more at once than it is told: {counts:?}"
            );
            let again = processor
                .post(report())
                .unique_for(HOUR, "long")
                .await
                .unwrap();
            assert!(again.is_duplicate());
        }
    };
}

is_forgotten!(ended_keys_leave_sqlite_with_old_messages, async {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("app.db")).await.unwrap();
    (outbox, folder)
});
is_forgotten!(ended_keys_leave_postgres_with_old_messages, async {
    let schema = databases::Postgres::new().await;
    (
        PostgresOutbox::from_pool(schema.pool().await).await.unwrap(),
        schema,
    )
});
is_forgotten!(ended_keys_leave_mysql_with_old_messages, async {
    let database = databases::MySql::new().await;
    (
        MySqlOutbox::from_pool(database.pool().await).await.unwrap(),
        database,
    )
});

#[tokio::test]
async fn an_outbox_without_keys_says_so() {
    /// Forwards what every outbox must do, and nothing else.
    struct Plain(InMemoryOutbox);

    type Done<'a, T> = futures_util::future::BoxFuture<'a, Result<T, OutboxError>>;

    impl Outbox for Plain {
        fn deposit<'a>(
            &'a self,
            messages: &'a [Message],
            lease: Option<Duration>,
        ) -> Done<'a, Vec<MessageId>> {
            self.0.deposit(messages, lease)
        }

        fn claim<'a>(
            &'a self,
            which: brighter::outbox::Claim<'a>,
            lease: Duration,
        ) -> Done<'a, Vec<brighter::outbox::Claimed>> {
            self.0.claim(which, lease)
        }

        fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
            self.0.mark_dispatched(ids)
        }

        fn mark_failed<'a>(&'a self, failures: &'a [brighter::outbox::Failure]) -> Done<'a, ()> {
            self.0.mark_failed(failures)
        }

        fn release<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
            self.0.release(ids)
        }

        fn status(&self) -> Done<'_, brighter::outbox::OutboxStatus> {
            self.0.status()
        }
    }

    let broker = broker().await;
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(Plain(InMemoryOutbox::new()))
        .without_archiver()
        .build()
        .unwrap();
    let error = processor.post(report()).unique_for(HOUR, "7").await.unwrap_err();
    assert!(error.to_string().contains("unique posts"), "{error}");
    assert!(broker.messages("reports").is_empty());
}
