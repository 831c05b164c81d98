//! One queue that ends connections, or is not served, beside others that are well: G15.

use std::time::Duration;

use brighter::channel::{Broker, Channel, ChannelError, QueueType};
use brighter::dispatcher::PerformerState;
use brighter::prelude::*;
use brighter_faults::app::{App, Deed, What, order};
use brighter_faults::capture;
use brighter_faults::frames::Kind;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node::{self, Node};
use brighter_faults::place::Place;
use brighter_faults::proxy::{Act, Direction, Proxy, Rule};
use brighter_faults::scale::{report, size};
use brighter_faults::traffic::{Traffic, consume, next};
use brighter_faults::wait::{in_time, until_answer};

const CONFIRM: Duration = Duration::from_secs(30);

/// Erlang for the member of a quorum queue on this node.
fn member(queue: &str) -> String {
    format!("{{list_to_atom(\"%2F_{queue}\"), node()}}")
}

/// The connections of this place that are for a role, as the broker numbers them.
async fn pids(node: &Node, place: &Place, role: &str) -> String {
    node.connection_pids(&format!("{} {role}", place.id())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g15_a_leaderless_queue_stops_no_other_and_recovers() {
    /// Each longer than the pause between two attempts.
    const HANDLING: u64 = 2_500;
    let messages = size(16, 40);
    let node = node::shared().await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    let ill = place.queue("ill");
    let mut channel = Channel::new(ill.as_str(), "g15.ill");
    channel.queue_type = Some(QueueType::Quorum);
    broker.declare(&channel).await.unwrap();
    let member = member(&ill);
    node.eval(&format!("ra:stop_server(quorum_queues, {member})."))
        .await;

    let ledger = Ledger::new();
    let quorum = |name: &str, key: &str| {
        let subscription = Subscription::<Deed>::new(name).routing_key(key);
        subscription.queue_type(QueueType::Quorum)
    };
    let well = place.queue("well");
    let app = App::start(
        broker.clone(),
        &ledger,
        [
            quorum(&well, "g15.well").performers(2),
            quorum(&ill, "g15.ill").performers(2),
        ],
    );
    let of = |name: &str| {
        let status = app.dispatcher.status().into_iter();
        status
            .into_iter()
            .find(|status| status.name.as_str() == name)
            .unwrap()
    };
    until_answer("the well", 2, async || of(&well).consuming()).await;
    until_answer("the ill", true, async || {
        let status = of(&ill);
        status
            .performers
            .iter()
            .all(|performer| *performer == PerformerState::Waiting)
            && status.last_error.is_some_and(|error| error.contains(&ill))
    })
    .await;
    let error = of(&ill).last_error.unwrap();
    assert!(!error.contains("no broker can be reached"), "{error}");
    until_answer("the well", 2, async || of(&well).consuming()).await;

    // Whatever the ill queue has cost the others it has cost them by now.
    let before = pids(&node, &place, "consumer").await;
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    order(&traffic, "g15.well", vec![What::Sleep(HANDLING); messages]).await;
    until_answer("handled", messages, async || app.doer.handled()).await;
    until_answer("queued", (0, 0), async || node.depth(&well).await).await;
    assert_eq!(ledger.count(Entry::Handled), messages, "begun twice");
    assert_eq!(
        pids(&node, &place, "consumer").await,
        before,
        "the connection was lost"
    );
    assert_eq!(of(&ill).consuming(), 0);

    node.eval(&format!("ra:restart_server(quorum_queues, {member})."))
        .await;
    let back = until_answer("the ill", 2, async || of(&ill).consuming()).await;
    order(&traffic, "g15.ill", [What::Note; 3]).await;
    until_answer("handled", messages + 3, async || app.doer.handled()).await;
    assert_eq!(
        pids(&node, &place, "consumer").await,
        before,
        "the connection was lost"
    );
    report(
        "G15",
        format_args!("consumed again {back:?} after the queue was back"),
    );
    ledger.verdict().check("G15");
    capture::assert_no_password();
    app.end().await;
    until_answer("connections", 0, async || node.connections(place.id()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g15_eight_performers_start_without_losing_a_connection() {
    let rounds = size(4, 20);
    let node = node::shared().await;
    for brokers in [1, 3] {
        for round in 0..rounds {
            let place = Place::new(&node);
            let name = place.queue("new");
            let ledger = Ledger::new();
            let mut apps = Vec::new();
            for _ in 0..brokers {
                let broker = place.connect().await;
                let subscription = Subscription::<Deed>::new(name.as_str())
                    .routing_key("g15.new")
                    .queue_type(QueueType::Quorum)
                    .performers(8);
                apps.push((broker.clone(), App::start(broker, &ledger, [subscription])));
            }
            for (broker, app) in &apps {
                app.wait_until_consuming().await;
                let generations: Vec<_> = broker.consumers().iter().map(|one| one.connection).collect();
                assert_eq!(generations, [1; 8], "round {round} with {brokers} brokers");
            }
            assert_eq!(
                node.connections(&format!("{} consumer", place.id())).await,
                brokers
            );
            assert_eq!(node.connections(place.id()).await, 2 * brokers);
            for (_, app) in apps {
                app.end().await;
            }
        }
        report(
            "G15",
            format_args!(
                "{rounds} first starts of eight performers, {brokers} processes: no connection lost"
            ),
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g15_an_unanswered_start_is_named_and_stops_no_other() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let well = place.channel("well", "g15.well");
    let mut consumer = consume(&broker, &well).await;
    let silent = place.channel("silent", "g15.silent");
    proxy.add(Rule::next(Direction::ToBroker, Kind::CONSUME, Act::Drop));
    let answer = in_time("an answer", broker.consume(&silent)).await;
    let Err(ChannelError::Unavailable { reason }) = answer else {
        panic!("{answer:?}");
    };
    for said in ["connected to", "basic.consume", silent.name.as_str(), "10s"] {
        assert!(reason.contains(said), "{reason}");
    }
    // By a connection of its own, which does not concern the others.
    let mut other = consume(&broker, &silent).await;
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    for (topic, consumer) in [("g15.well", &mut consumer), ("g15.silent", &mut other)] {
        let sent = traffic.one(topic).await;
        let delivery = next(consumer).await;
        assert_eq!(brighter_faults::traffic::id(&delivery), sent);
        ledger.write(Entry::Handled, &sent);
        delivery.ack().await.unwrap();
    }
    assert_eq!(node.connections(&format!("{} consumer", place.id())).await, 1);
    assert_eq!(node.connections(place.id()).await, 3);
    drop((consumer, other));
    until_answer("connections", 2, async || node.connections(place.id()).await).await;
    ledger.verdict().check("G15");
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g15_a_forgotten_consumer_consumes_again() {
    let node = node::shared().await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    let mut deaf = place.channel("deaf", "g15.deaf");
    deaf.queue_type = Some(QueueType::Classic);
    let mut consumer = consume(&broker, &deaf).await;
    let mut idle = consume(&broker, &place.channel("idle", "g15.idle")).await;
    node.forget_consumers(deaf.name.as_str()).await;
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    let sent = traffic.one("g15.deaf").await;
    let end = tokio::select! {
        end = in_time("the end", consumer.receive()) => end,
        came = idle.receive() => panic!("the idle one has given up: {came:?}"),
    };
    let Some(Err(ChannelError::Unavailable { reason })) = end else {
        panic!("{end:?}");
    };
    assert!(reason.contains(deaf.name.as_str()), "{reason}");
    let mut again = consume(&broker, &deaf).await;
    let delivery = next(&mut again).await;
    assert_eq!(brighter_faults::traffic::id(&delivery), sent);
    ledger.write(Entry::Handled, &sent);
    delivery.ack().await.unwrap();
    // The idle one is the same as ever.
    let sent = traffic.one("g15.idle").await;
    let delivery = next(&mut idle).await;
    assert_eq!(brighter_faults::traffic::id(&delivery), sent);
    ledger.write(Entry::Handled, &sent);
    delivery.ack().await.unwrap();
    ledger.verdict().check("G15");
    broker.close().await;
}
