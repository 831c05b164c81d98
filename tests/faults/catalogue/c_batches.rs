//! Consumers of batches are killed by chance: C18.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use brighter::SqliteInbox;
use brighter::channel::{Broker, Channel, Producer, QueueType};
use brighter_faults::batches::Row;
use brighter_faults::consumer::Orders;
use brighter_faults::ledger::Ledger;
use brighter_faults::node;
use brighter_faults::place::Place;
use brighter_faults::process::Process;
use brighter_faults::scale::{Choices, report, size};
use brighter_faults::wait::{deadline, until_answer};
use tokio::time::sleep;

const CONSUMERS: usize = 2;
/// How many messages are handed over at once.
const TOGETHER: usize = 500;
const TOPIC: &str = "c18";

fn start(orders: &Orders) -> Process {
    Process::start(env!("CARGO_BIN_EXE_faults-batcher"), orders, "")
}

/// How many messages there are: the full size may be chosen too, for a machine with less time.
fn messages() -> u64 {
    let chosen = std::env::var("BRIGHTER_FAULTS_MESSAGES").ok();
    let chosen = chosen.and_then(|messages| messages.parse().ok());
    chosen.unwrap_or_else(|| size(3_000, 1_000_000))
}

async fn publish(place: &Place, messages: u64) {
    let broker = place.connect().await;
    let numbers: Vec<u64> = (0..messages).collect();
    for some in numbers.chunks(TOGETHER) {
        let made: Vec<_> = some
            .iter()
            .map(|number| Row { number: *number }.message(TOPIC))
            .collect();
        for result in broker.publish_all(made.iter().collect()).await {
            result.unwrap();
        }
    }
    broker.close().await;
}

/// The books, with how many effects there are and how many rows have one.
struct Books(SqliteInbox);

impl Books {
    async fn open(path: &Path) -> Self {
        let inbox = SqliteInbox::open(path).await.unwrap();
        sqlx::raw_sql("CREATE TABLE effects (number INTEGER NOT NULL, of INTEGER NOT NULL)")
            .execute(inbox.pool())
            .await
            .unwrap();
        Self(inbox)
    }

    async fn number(&self, what: &'static str) -> u64 {
        let query = sqlx::query_scalar::<_, i64>(what);
        let number = query.fetch_one(self.0.pool()).await.unwrap();
        number.unsigned_abs()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c18_killed_batch_consumers_effect_each_row_once() {
    let node = node::shared().await;
    let choices = Choices::seeded("C18");
    let (place, ledger, messages) = (Place::new(&node), Ledger::new(), messages());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    let books = Books::open(&path).await;
    let mut channel = place.channel(TOPIC, TOPIC);
    channel.queue_type = Some(QueueType::Quorum);
    let broker = place.connect().await;
    drop(broker.consume(&channel).await.unwrap());
    publish(&place, messages).await;

    let mut orders = Orders::new(&place, TOPIC, &ledger);
    (orders.books, orders.buffer) = (Some(path), 200);
    // Nothing here is to be taken for what ends the process, however often that is killed.
    orders.redeliveries = 1_000_000;
    let poison = (0..messages).filter(|number| Row { number: *number }.is_poison());
    let poison: BTreeSet<u64> = poison.collect();
    let good = messages - poison.len() as u64;
    let begun = Instant::now();
    let mut consumers: Vec<_> = (0..CONSUMERS).map(|_| start(&orders)).collect();
    let mut kills = 0_u32;
    let (mut before, mut progress) = (0, Instant::now());
    loop {
        sleep(Duration::from_millis(300 + choices.below(size(700, 5_000)))).await;
        let effects = books.number("SELECT count(*) FROM effects").await;
        if effects > before {
            (before, progress) = (effects, Instant::now());
        }
        let stalled = progress.elapsed();
        assert!(stalled < 2 * deadline(), "{effects} of {good} for {stalled:?}");
        if effects >= good {
            break;
        }
        let victim = usize::try_from(choices.below(CONSUMERS as u64)).unwrap();
        consumers[victim].kill().await;
        consumers[victim] = start(&orders);
        kills += 1;
    }
    until_answer("left in the queue", 0, async || {
        node.depth(channel.name.as_str()).await.0
    })
    .await;
    let took = begun.elapsed();
    drop(consumers);

    let rows = books.number("SELECT count(DISTINCT number) FROM effects").await;
    let effects = books.number("SELECT count(*) FROM effects").await;
    let batches = books
        .number("SELECT CAST(round(sum(1.0 / of)) AS INTEGER) FROM effects")
        .await;
    let dead = dead_letters(&place, &broker, poison.len()).await;
    report(
        "C18",
        format_args!(
            "{messages} messages in {took:.1?} ({:.0}/s), {kills} kills, {batches} batches; lost {}, twice {}, \
             poison {} of {} set aside, seed {}",
            messages as f64 / took.as_secs_f64(),
            good - rows,
            effects - rows,
            dead.len(),
            poison.len(),
            choices.seed()
        ),
    );
    assert_eq!((rows, effects), (good, good));
    assert_eq!(dead, poison, "each poison row alone");
    // A kill makes what was in flight suspect, and that is handled alone: how much depends on the speed of the machine.
    assert!(batches < effects, "{batches} batches");
    assert!(kills > 0, "there was time for one at least");
}

/// The numbers of the rows that were set aside, once there are so many.
async fn dead_letters(place: &Place, broker: &brighter::RabbitMq, count: usize) -> BTreeSet<u64> {
    let dead_letters = place.channel(TOPIC, TOPIC).dead_letters;
    let channel = Channel::existing(dead_letters);
    let mut consumer = broker.consume(&channel).await.unwrap();
    let mut dead = BTreeSet::new();
    while dead.len() < count {
        let delivery = tokio::time::timeout(deadline(), consumer.receive()).await;
        let delivery = delivery.expect("another dead letter").unwrap().unwrap();
        let row: Row = serde_json::from_slice(delivery.message().unwrap().body.as_bytes()).unwrap();
        dead.insert(row.number);
        delivery.ack().await.unwrap();
    }
    dead
}
