//! How messages get from the outbox to the broker: topics in order, topics that are paused, wakes, and the archiver.

use std::time::Duration;

use brighter::channel::{Broker, Channel, PublishError};
use brighter::outbox::{Inspection, MessageState, Outbox, Selection};
use brighter::policy::CircuitState;
use brighter::prelude::*;
use brighter::processor::{CommandProcessorBuilder, NotSent, PostError};
use brighter::testing::{FaultyBroker, PublishFault};
use brighter::{Archiver, MessageId, MySqlOutbox, PostgresOutbox, SqliteOutbox, Sweeper};
use brighter_tests::databases;
use brighter_tests::wait::until_eq;
use futures_util::FutureExt;

/// So long that nothing is found by looking at intervals.
const NEVER: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Stock.Changed", kind = "event")]
struct StockChanged {
    id: MessageId,
    number: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Stock.Counted", kind = "event")]
struct StockCounted {
    number: usize,
}

fn changed(number: usize) -> StockChanged {
    let id = MessageId::new();
    StockChanged { id, number }
}

/// With a channel for each of the topics.
fn broker() -> FaultyBroker {
    let broker = InMemoryBroker::new();
    for topic in ["Stock.Changed", "Stock.Counted"] {
        broker
            .declare(&Channel::new(topic, topic))
            .now_or_never()
            .unwrap()
            .unwrap();
    }
    FaultyBroker::new(broker)
}

fn in_order(broker: &FaultyBroker, outbox: impl Outbox) -> CommandProcessorBuilder {
    CommandProcessor::builder()
        .publication(Publication::<StockChanged>::new().in_order())
        .broker(broker.clone())
        .outbox(outbox)
}

fn numbers(broker: &FaultyBroker, topic: &str) -> Vec<usize> {
    let messages = broker.inner().messages(topic);
    let number = |message: &Message| {
        let body: serde_json::Value = serde_json::from_slice(message.body.as_bytes()).unwrap();
        usize::try_from(body["number"].as_u64().unwrap()).unwrap()
    };
    messages.iter().map(number).collect()
}

/// The numbers without what came again, which the broker of a test sees when a confirm was lost.
fn first_seen(numbers: Vec<usize>) -> Vec<usize> {
    let mut seen = Vec::new();
    for number in numbers {
        if !seen.contains(&number) {
            seen.push(number);
        }
    }
    seen
}

#[tokio::test]
async fn topic_order_survives_refusals_outages_and_several_sweepers() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let sweeper = Sweeper::default().interval(SHORT).batch(7).without_pauses();
    let processors: Vec<_> = (0..3)
        .map(|_| {
            in_order(&broker, outbox.clone())
                .sweeper(sweeper.clone())
                .build()
                .unwrap()
        })
        .collect();
    use PublishFault::{Away, ConfirmLost, Refuse};
    broker.next_publishes([Away, ConfirmLost, Refuse, Away, ConfirmLost, ConfirmLost, Refuse]);
    for number in 0..60 {
        let mut tx = outbox.begin();
        let processor = &processors[number % 3];
        processor.deposit_post(&mut tx, changed(number)).await.unwrap();
        tx.commit().unwrap();
        tokio::task::yield_now().await;
    }
    until_eq("all are sent", 60, || {
        first_seen(numbers(&broker, "Stock.Changed")).len()
    })
    .await;
    assert_eq!(
        first_seen(numbers(&broker, "Stock.Changed")),
        (0..60).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_ordered_post_sends_or_waits_for_earlier_ones() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = in_order(&broker, outbox.clone())
        .without_sweeper()
        .build()
        .unwrap();
    let mut tx = outbox.begin();
    processor.deposit_post(&mut tx, changed(0)).await.unwrap();
    tx.commit().unwrap();
    processor.post(changed(1)).await.unwrap();
    assert_eq!(numbers(&broker, "Stock.Changed"), [0, 1]);

    // The next one is refused, and those behind it are posted, but not sent.
    broker.every_publish(Some(PublishFault::Refuse));
    let refused = changed(2);
    let error = processor.post(refused.clone()).await.unwrap_err();
    assert!(
        matches!(
            &error,
            PostError::NotSent(NotSent {
                error: PublishError::Refused { .. },
                ..
            })
        ),
        "{error}"
    );
    broker.every_publish(None);
    let behind = processor.post(changed(3)).await.unwrap();
    let cleared = processor
        .clear_outbox(std::slice::from_ref(&behind))
        .await
        .unwrap();
    assert_eq!((cleared.sent, cleared.kept.len()), (0, 0));
    assert_eq!(numbers(&broker, "Stock.Changed"), [0, 1]);
    assert_eq!(
        processor.outbox().state(&behind).await.unwrap(),
        Some(MessageState::outstanding(0, None))
    );
    // Others do not notice.
    processor.post(StockCounted { number: 7 }).await.unwrap();
    assert_eq!(numbers(&broker, "Stock.Counted"), [7]);
}

#[tokio::test]
async fn dead_messages_block_nothing_and_return_when_revived() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let sweeper = Sweeper::default().attempts(1);
    let processor = in_order(&broker, outbox.clone())
        .sweeper(sweeper)
        .without_sweeper();
    let processor = processor.build().unwrap();
    broker.next_publishes([PublishFault::Refuse]);
    let dead = changed(0);
    processor.post(dead.clone()).await.unwrap_err();
    let next = processor.post(changed(1)).await.unwrap();
    assert_eq!(numbers(&broker, "Stock.Changed"), [1]);
    assert_eq!(
        processor
            .outbox()
            .revive(std::slice::from_ref(&dead.id))
            .await
            .unwrap(),
        1
    );
    assert_eq!(processor.clear_outbox(&[dead.id, next]).await.unwrap().sent, 1);
    assert_eq!(numbers(&broker, "Stock.Changed"), [1, 0]);
}

#[tokio::test]
async fn clearing_in_order_sends_what_goes_before() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = in_order(&broker, outbox.clone())
        .without_sweeper()
        .build()
        .unwrap();
    let mut tx = outbox.begin();
    let ids = processor
        .deposit_posts(&mut tx, (0..150).map(changed))
        .await
        .unwrap();
    tx.commit().unwrap();
    let cleared = processor
        .clear_outbox(&[ids[119].clone(), ids[3].clone()])
        .await
        .unwrap();
    assert_eq!((cleared.sent, cleared.kept.len()), (2, 0));
    let sent = numbers(&broker, "Stock.Changed");
    assert_eq!(sent, (0..sent.len()).collect::<Vec<_>>());
    assert!(sent.len() >= 120, "{}", sent.len());
}

#[tokio::test(start_paused = true)]
async fn a_failing_topic_pauses_and_probes_alone() {
    let broker = InMemoryBroker::new();
    broker
        .declare(&Channel::new("Stock.Counted", "Stock.Counted"))
        .await
        .unwrap();
    let broker = FaultyBroker::new(broker);
    let outbox = InMemoryOutbox::new();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone())
        .sweeper(
            Sweeper::default()
                .batch(10)
                .pause_topic_after(2, Duration::from_secs(60)),
        )
        .build()
        .unwrap();
    let mut tx = outbox.begin();
    processor
        .deposit_posts(&mut tx, (0..100).map(changed))
        .await
        .unwrap();
    let counted = (0..50).map(|number| StockCounted { number });
    processor.deposit_posts(&mut tx, counted).await.unwrap();
    tx.commit().unwrap();
    until_eq("the others are sent", 50, || {
        numbers(&broker, "Stock.Counted").len()
    })
    .await;
    let [(topic, state)] = &processor.outbox().paused_topics()[..] else {
        panic!("{:?}", processor.outbox().paused_topics())
    };
    assert_eq!((topic.as_str(), *state), ("Stock.Changed", CircuitState::Open));
    let status = processor.outbox().status().await.unwrap();
    assert_eq!(status.outstanding, 100);

    // One is tried when the time is over, and it fails, and the topic is left alone for as long again.
    tokio::time::advance(Duration::from_secs(90)).await;
    let changed = Channel::new("Stock.Changed", "Stock.Changed");
    broker.inner().declare(&changed).await.unwrap();
    until_eq("all are sent", 100, || numbers(&broker, "Stock.Changed").len()).await;
    assert!(processor.outbox().paused_topics().is_empty());
}

#[tokio::test]
async fn a_sweeper_wakes_when_something_is_committed_in_this_process() {
    let broker = broker();
    let sweeper = Sweeper::default().interval(NEVER);
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(sqlite.clone());
    let processor = processor.sweeper(sweeper).build().unwrap();
    for number in 0..3 {
        let mut tx = sqlite.pool().begin().await.unwrap();
        processor.deposit_post(&mut tx, changed(number)).await.unwrap();
        tx.commit().await.unwrap();
        until_eq("it is sent", number + 1, || {
            numbers(&broker, "Stock.Changed").len()
        })
        .await;
    }
    processor.close().await;
}

#[tokio::test]
async fn a_mysql_sweeper_wakes_on_commits_of_its_process() {
    let broker = broker();
    let database = databases::MySql::new().await;
    let mysql = MySqlOutbox::from_pool(database.pool().await).await.unwrap();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(mysql.clone());
    let processor = processor
        .sweeper(Sweeper::default().interval(NEVER))
        .build()
        .unwrap();
    let mut tx = mysql.pool().begin().await.unwrap();
    processor
        .deposit_post(&mut tx, StockCounted { number: 1 })
        .await
        .unwrap();
    tx.commit().await.unwrap();
    until_eq("it is sent", 1, || numbers(&broker, "Stock.Counted").len()).await;
    processor.close().await;
}

#[tokio::test]
async fn any_postgres_commit_wakes_the_sweeper() {
    let broker = broker();
    let database = databases::Postgres::new().await;
    let swept = PostgresOutbox::from_pool(database.pool().await).await.unwrap();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(swept.clone());
    let processor = processor
        .sweeper(Sweeper::default().interval(NEVER))
        .build()
        .unwrap();
    // As if in another process: an outbox of its own, and no sweeper.
    let other = PostgresOutbox::from_pool(database.pool().await).await.unwrap();
    let depositor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(other.clone());
    let depositor = depositor.without_sweeper().build().unwrap();
    for number in 0..3 {
        let mut tx = other.pool().begin().await.unwrap();
        depositor.deposit_post(&mut tx, changed(number)).await.unwrap();
        tx.commit().await.unwrap();
        until_eq("it is sent", number + 1, || {
            numbers(&broker, "Stock.Changed").len()
        })
        .await;
        // The connection that listens to this table ran `LISTEN` last.
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
            AND query LIKE 'LISTEN%' AND query LIKE '%' || CAST(to_regclass('brighter_outbox') AS oid) || '%'";
        brighter::testing::eventually("one that listens, and does no more", async || {
            let ended: i64 = sqlx::query_scalar(end).fetch_one(other.pool()).await.unwrap();
            (ended == 1).then_some(())
        })
        .await;
    }
    processor.close().await;
}

#[tokio::test]
async fn an_archiver_removes_only_sent_messages() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone())
        .archiver(Archiver::delete_after(Duration::ZERO).interval(SHORT).batch(3))
        .without_sweeper()
        .build()
        .unwrap();
    broker.next_publishes([PublishFault::Away]);
    let kept = processor.post(changed(0)).await.unwrap();
    let mut sent = Vec::new();
    for number in 1..=10 {
        sent.push(processor.post(changed(number)).await.unwrap());
    }
    brighter::testing::eventually("the others are gone", async || {
        outbox.get(&sent).await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(outbox.get(std::slice::from_ref(&kept)).await.unwrap().len(), 1);
    assert_eq!(processor.clear_outbox(&[kept]).await.unwrap().sent, 1);
}

#[tokio::test]
async fn archiving_moves_messages_to_a_table_and_counts_them() {
    let broker = broker();
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone());
    let processor = processor.without_sweeper().build().unwrap();
    for number in 0..25 {
        processor.post(changed(number)).await.unwrap();
    }
    let week = Archiver::move_after(Duration::from_secs(7 * 24 * 60 * 60));
    assert_eq!(processor.outbox().archive(&week).await.unwrap(), 0);
    let now = Archiver::move_after(Duration::ZERO).batch(10);
    assert_eq!(processor.outbox().archive(&now).await.unwrap(), 25);
    for (table, expected) in [("brighter_outbox", 0_i64), ("brighter_outbox_archive", 25)] {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let count: i64 = sqlx::query_scalar(count).fetch_one(outbox.pool()).await.unwrap();
        assert_eq!(count, expected, "{table}");
    }
}

#[tokio::test]
async fn reposting_sends_the_selected_again_and_counts_them() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone());
    let processor = processor
        .sweeper(Sweeper::default().interval(NEVER))
        .build()
        .unwrap();
    for number in 0..3 {
        processor.post(changed(number)).await.unwrap();
    }
    processor.post(StockCounted { number: 9 }).await.unwrap();
    let which = Selection::all().topic("Stock.Changed");
    assert_eq!(processor.outbox().repost_all(&which).await.unwrap(), 3);
    until_eq("they are sent again", 6, || {
        broker.inner().messages("Stock.Changed").len()
    })
    .await;
    let messages = broker.inner().messages("Stock.Changed");
    assert_eq!(messages[..3], messages[3..]);
    assert_eq!(numbers(&broker, "Stock.Counted"), [9]);
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Stock.Changed", kind = "event", type = "Stock.Corrected")]
struct StockCorrected {
    number: usize,
}

#[tokio::test]
async fn posting_multiple_message_types_to_a_single_topic() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = CommandProcessor::builder().broker(broker.clone()).outbox(outbox);
    let processor = processor.without_sweeper().build().unwrap();
    processor.post(changed(1)).await.unwrap();
    processor.post(StockCorrected { number: 2 }).await.unwrap();
    assert_eq!(numbers(&broker, "Stock.Changed"), [1, 2]);
}

#[tokio::test]
async fn independent_processors_sweep_concurrently_and_clear_both_outboxes() {
    let (broker, outboxes) = (broker(), [InMemoryOutbox::new(), InMemoryOutbox::new()]);
    let processors = outboxes.each_ref().map(|outbox| {
        let processor = CommandProcessor::builder()
            .broker(broker.clone())
            .outbox(outbox.clone());
        processor
            .sweeper(Sweeper::default().interval(SHORT))
            .build()
            .unwrap()
    });
    for (processor, outbox) in processors.iter().zip(&outboxes) {
        let mut tx = outbox.begin();
        processor
            .deposit_posts(&mut tx, (0..250).map(changed))
            .await
            .unwrap();
        tx.commit().unwrap();
    }
    until_eq("both are sent", 500, || numbers(&broker, "Stock.Changed").len()).await;
}
