//! The process that consumes dies, or is told to end: C01, C02.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use brighter::SqliteInbox;
use brighter_faults::app::{Deed, What};
use brighter_faults::consumer::{Orders, Point};
use brighter_faults::frames::Kind;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node::{self, Node};
use brighter_faults::place::Place;
use brighter_faults::process::Process;
use brighter_faults::proxy::{Act, Direction, Proxy, Rule};
use brighter_faults::scale::report;
use brighter_faults::traffic::{Traffic, consume};
use brighter_faults::wait::until_answer;
use brighter_faults::{app, capture};

const CONFIRM: Duration = Duration::from_secs(30);

fn start(orders: &Orders) -> Process {
    Process::start(env!("CARGO_BIN_EXE_faults-consumer"), orders, "")
}

/// Publishes deeds to a queue that nobody reads yet.
async fn prepare(place: &Place, topic: &str, ledger: &Ledger, deeds: &[What]) {
    let broker = place.connect().await;
    drop(consume(&broker, &place.channel(topic, topic)).await);
    let traffic = Traffic::new(broker.clone(), ledger, CONFIRM);
    app::order(&traffic, topic, deeds.iter().copied()).await;
    brighter::channel::Broker::close(&broker).await;
}

/// A consumer is killed at this point, and another finishes what it left.
async fn dies_and_another_finishes(
    node: &Node,
    place: &Place,
    orders: &mut Orders,
    point: Point,
    ledger: &Ledger,
) {
    orders.dies = Some(point);
    let mut dying = start(orders);
    dying.says("at the point", 1).await;
    ledger.fault();
    dying.kill().await;
    ledger.cleared();
    orders.dies = None;
    finish(node, place, orders, ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_a_killed_consumer_gets_the_message_again() {
    let node = node::shared().await;
    for point in [Point::BeforeTheEffect, Point::AfterTheEffect] {
        let (place, ledger) = (Place::new(&node), Ledger::new());
        prepare(&place, "c01", &ledger, &[What::Note]).await;
        let mut orders = Orders::new(&place, "c01", &ledger);
        dies_and_another_finishes(&node, &place, &mut orders, point, &ledger).await;
        let verdict = ledger.verdict();
        verdict.check(&format!("C01 {point:?}"));
        // The effect is at least once, and no more than once where it had not begun.
        let twice = point == Point::AfterTheEffect;
        assert_eq!(
            (verdict.handled, verdict.duplicated.len()),
            (1, usize::from(twice))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_a_lost_ack_redelivers_the_message() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let (place, ledger) = (Place::at(&node, proxy.address()), Ledger::new());
    prepare(&place, "c01", &ledger, &[What::Note]).await;
    proxy.add(Rule::next(Direction::ToBroker, Kind::ACK, Act::Drop));
    let orders = Orders::new(&place, "c01", &ledger);
    let mut dying = start(&orders);
    until_answer("lost acks", 1, async || proxy.followed()).await;
    ledger.fault();
    dying.kill().await;
    ledger.cleared();
    finish(&node, &place, &orders, &ledger).await;
    let verdict = ledger.verdict();
    verdict.check("C01 ack lost");
    assert_eq!(verdict.duplicated.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_an_inbox_makes_one_effect_despite_kills() {
    let node = node::shared().await;
    for point in [
        Point::BeforeTheEffect,
        Point::AfterTheEffect,
        Point::AfterTheCommit,
    ] {
        let (place, ledger) = (Place::new(&node), Ledger::new());
        let folder = tempfile::tempdir().unwrap();
        let books = folder.path().join("books.db");
        let inbox = SqliteInbox::open(&books).await.unwrap();
        sqlx::raw_sql("CREATE TABLE effects (id TEXT NOT NULL)")
            .execute(inbox.pool())
            .await
            .unwrap();
        prepare(&place, "c01", &ledger, &[What::Note]).await;
        let mut orders = Orders::new(&place, "c01", &ledger);
        orders.books = Some(books);
        dies_and_another_finishes(&node, &place, &mut orders, point, &ledger).await;
        let verdict = ledger.verdict();
        verdict.check(&format!("C01 with an inbox, {point:?}"));
        let effects: i64 = sqlx::query_scalar("SELECT count(*) FROM effects")
            .fetch_one(inbox.pool())
            .await
            .unwrap();
        assert_eq!((effects, verdict.duplicated.len()), (1, 0), "{point:?}");
    }
}

/// Has another process do what is left, then ends it politely.
async fn finish(node: &Node, place: &Place, orders: &Orders, ledger: &Ledger) {
    let mut second = start(orders);
    // It may be on its way back through a delay, where it is not in the queue.
    until_answer("handled", 1, async || ledger.distinct(Entry::Handled)).await;
    until_answer("left in the queue", 0, async || node.depth(&orders.queue).await.0).await;
    second.terminate().await;
    let status = second.ended().await;
    assert!(status.success(), "{status}");
    until_answer("connections", 0, async || node.connections(place.id()).await).await;
    capture::assert_no_password();
}

const RUNNING: usize = 20;
const FINISHING: usize = 3;

/// A consumer that has twenty messages in hand. Three are about to finish.
async fn busy(node: &Node, grace: Duration) -> (Place, Ledger, Orders, Process) {
    let (place, ledger) = (Place::new(node), Ledger::new());
    let mut deeds = vec![What::Wait; RUNNING - FINISHING];
    deeds.extend([What::Sleep(1_500); FINISHING]);
    prepare(&place, "c02", &ledger, &deeds).await;
    let mut orders = Orders::new(&place, "c02", &ledger);
    orders.performers = RUNNING;
    orders.drain = u64::try_from(grace.as_millis()).unwrap();
    let mut child = start(&orders);
    child.says("begun", RUNNING).await;
    (place, ledger, orders, child)
}

fn code(status: ExitStatus) -> Option<i32> {
    status.code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c02_shutdown_finishes_or_returns_messages_in_flight() {
    let node = node::shared().await;
    let grace = Duration::from_secs(5);
    let (place, ledger, orders, mut child) = busy(&node, grace).await;
    let begun = Instant::now();
    child.terminate().await;
    // It stops taking first: one that comes now is left to others.
    until_answer("consumers", 0, async || consumers(&node, &orders.queue).await).await;
    let stopped = begun.elapsed();
    let broker = Place::new(&node);
    let late = Deed::new(What::Note);
    let raw = broker.builder().exchange(place.exchange(), Default::default());
    let publisher = raw.connect().await.unwrap();
    let traffic = Traffic::new(publisher.clone(), &ledger, CONFIRM);
    traffic.publish(&late.message("c02")).await;
    let status = child.ended().await;
    report(
        "C02",
        format_args!(
            "stopped taking after {stopped:?}, ended after {:?} of {grace:?}",
            begun.elapsed()
        ),
    );
    assert_eq!(code(status), Some(75), "some were given back");
    // All given back before the end, so all wait; what finished is gone.
    let left = RUNNING - FINISHING + 1;
    until_answer("left in the queue", (left, left), async || {
        node.depth(&orders.queue).await
    })
    .await;
    assert_eq!(ledger.distinct(Entry::Handled), FINISHING);
    let verdict = ledger.verdict();
    assert!(
        verdict.unexpected.is_empty() && verdict.duplicated.is_empty(),
        "{verdict}"
    );
    assert_eq!(verdict.lost.len(), left, "those that wait");
    brighter::channel::Broker::close(&publisher).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c02_a_second_signal_ends_at_once_losing_nothing() {
    let node = node::shared().await;
    let (_place, ledger, orders, mut child) = busy(&node, Duration::from_secs(600)).await;
    child.terminate().await;
    until_answer("consumers", 0, async || consumers(&node, &orders.queue).await).await;
    child.terminate().await;
    let status = child.ended().await;
    assert_eq!(code(status), Some(143), "{status}");
    let handled = ledger.distinct(Entry::Handled);
    // One whose ack was not written in time comes again, too.
    until_answer("all given back", true, async || {
        let (all, ready) = node.depth(&orders.queue).await;
        all == ready && (RUNNING - handled..=RUNNING).contains(&ready)
    })
    .await;
}

/// How many consumers the queue has.
async fn consumers(node: &Node, queue: &str) -> usize {
    let consumers = format!(
        "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
         [{{consumers, N}}] = rabbit_amqqueue:info(Q, [consumers]), N."
    );
    node.eval(&consumers).await.parse().unwrap()
}
