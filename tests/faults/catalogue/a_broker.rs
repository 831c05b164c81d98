//! The broker goes: A01 to A04.

use std::time::Duration;

use brighter::channel::Broker;
use brighter::prelude::*;
use brighter_faults::app::{App, Deed, What, order};
use brighter_faults::capture;
use brighter_faults::frames::Kind;
use brighter_faults::leaks::Held;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node;
use brighter_faults::place::Place;
use brighter_faults::proxy::{Act, Direction, Proxy, Rule};
use brighter_faults::scale::{report, size};
use brighter_faults::traffic::{Traffic, consume, handle_all};
use brighter_faults::wait::{deadline, in_time, until_answer};

const CONFIRM: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a01_killing_the_broker_loses_no_confirmed_message() {
    let node = node::to_harm().await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    let channel = place.channel("a01", "a01");
    drop(consume(&broker, &channel).await);
    node.write_queues().await;

    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    let (publishers, each) = size((20, 30), (100, 100));
    let publishing = tokio::spawn({
        let traffic = traffic.clone();
        async move { traffic.many(publishers, each, "a01").await }
    });
    for share in [3, 2] {
        let due = publishers * each / share;
        until_answer("enough are confirmed", true, async || traffic.confirmed() >= due).await;
        ledger.fault();
        node.kill().await;
        node.start_again().await;
        ledger.cleared();
    }
    in_time("the publishers", publishing).await.unwrap();
    handle_all(&broker, &channel, &ledger, publishers * each).await;
    let verdict = ledger.verdict();
    verdict.check("A01");
    assert_eq!(verdict.handled, publishers * each);
    assert!(traffic.failed() > 0, "nobody noticed");
    report(
        "A01",
        format_args!("{} calls failed and were repeated", traffic.failed()),
    );
    capture::assert_no_password();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a02_subscriptions_recover_from_a_restart_without_stale_acks() {
    const SUBSCRIPTIONS: usize = 8;
    let node = node::to_harm().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let ledger = Ledger::new();
    let topic = |n: usize| format!("a02.{n}");
    let app = App::start(
        broker.clone(),
        &ledger,
        (0..SUBSCRIPTIONS).map(|n| Subscription::<Deed>::new(place.queue(&topic(n))).routing_key(topic(n))),
    );
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    for n in 0..SUBSCRIPTIONS {
        order(&traffic, &topic(n), [What::Wait]).await;
    }
    let doer = app.doer.clone();
    until_answer("waiting", SUBSCRIPTIONS, async || doer.waiting()).await;

    let seen = |kind| proxy.seen(Direction::ToBroker, kind);
    let before = (seen(Kind::QOS), seen(Kind::CONSUME), seen(Kind::QUEUE_DECLARE));
    assert_eq!(seen(Kind::ACK), 0);
    ledger.fault();
    node.stop().await;
    node.start_again().await;
    ledger.cleared();
    // What they finish now was brought by a connection that is gone: it is handled again.
    app.doer.open_gate(true);
    until_answer("handled", true, async || {
        ledger.count(Entry::Handled) >= 2 * SUBSCRIPTIONS
    })
    .await;
    app.wait_until_consuming().await;
    // A classic queue does not count what it delivers again: a copy that does takes the place of each, which is acked, and
    // then the copy is.
    until_answer("acks", 2 * SUBSCRIPTIONS, async || seen(Kind::ACK)).await;
    let again = (seen(Kind::QOS), seen(Kind::CONSUME), seen(Kind::QUEUE_DECLARE));
    assert_eq!(again.1, 2 * before.1, "consumers");
    // The same request also asks the broker whether it has read the acks.
    assert!(
        again.0 >= 2 * before.0,
        "the prefetch was not set again: {again:?}"
    );
    assert!(
        again.2 >= 2 * before.2,
        "the topology was not asserted again: {again:?}"
    );
    // A stale ack that was sent would have closed a channel, and brought a message a third time.
    assert_eq!(ledger.count(Entry::Handled), 2 * SUBSCRIPTIONS);
    ledger.verdict().check("A02");
    capture::assert_no_password();
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a03_an_application_starts_before_its_broker() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    proxy.refuse(true);
    let place = Place::at(&node, proxy.address());
    let broker = place.builder().connect_lazily().unwrap();
    let ledger = Ledger::new();
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(place.queue("a03")).routing_key("a03")],
    );
    ledger.fault();
    let absent = Duration::from_secs(size(5, 90));
    // Part of the fault.
    tokio::time::sleep(absent).await;
    assert!(!app.is_ready());
    let attempts = proxy.attempts();
    // Two connections, whose pauses grow to between one second and two. After an attempt that was cut off, another
    // asks whether the port wants TLS.
    let most = 4 * (usize::try_from(absent.as_secs()).unwrap() + 10);
    assert!(
        (4..=most).contains(&attempts),
        "{attempts} attempts in {absent:?}"
    );
    proxy.refuse(false);
    ledger.cleared();
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    order(&traffic, "a03", [What::Note; 3]).await;
    until_answer("handled", 3, async || ledger.distinct(Entry::Handled)).await;
    report("A03", format_args!("{attempts} attempts in {absent:?}"));
    ledger.verdict().check("A03");
    capture::assert_no_password();
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a03_a_connection_lost_before_its_exchange_is_reopened() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let to_broker = Direction::ToBroker;
    proxy.add(Rule::next(to_broker, Kind::EXCHANGE_DECLARE, Act::Reset));
    let place = Place::at(&node, proxy.address());
    let broker = place
        .builder()
        .connect_timeout(deadline())
        .connect()
        .await
        .unwrap();
    assert_eq!(proxy.followed(), 1);
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a04_a_flapping_broker_leaks_nothing_and_logs_each_change() {
    // Alone, for it counts what the whole process has.
    let node = node::alone().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let ledger = Ledger::new();
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(place.queue("a04")).routing_key("a04")],
    );
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    let (rounds, up, down) = size((4, 0, 300), (50, 2_000, 1_000));
    let mut held = None;
    for _ in 0..rounds {
        order(&traffic, "a04", [What::Note; 3]).await;
        app.wait_until_consuming().await;
        // What it takes to run; each further round may take no more.
        held.get_or_insert_with(Held::now);
        // Part of the fault.
        tokio::time::sleep(Duration::from_millis(up)).await;
        ledger.fault();
        proxy.refuse(true);
        proxy.reset();
        app.not_ready().await;
        tokio::time::sleep(Duration::from_millis(down)).await;
        proxy.refuse(false);
        ledger.cleared();
    }
    order(&traffic, "a04", [What::Note; 3]).await;
    let handled = 3 * (rounds + 1);
    until_answer("handled", handled, async || ledger.distinct(Entry::Handled)).await;
    app.wait_until_consuming().await;
    ledger.verdict().check("A04");

    for role in ["publisher", "consumer"] {
        let told = |what: &str| {
            let role = format!("role=\"{role}\"");
            capture::lines(&[what, &role, proxy.address()]).len()
        };
        assert_eq!(told("reconnected to RabbitMQ"), rounds, "{role}");
        let lost = capture::lines(&["connection to RabbitMQ lost", proxy.address()]);
        assert!(lost.len() <= 2 * rounds, "{lost:#?}");
    }
    assert_eq!(proxy.open(), 2);
    if let Some(held) = held {
        held.all_is_back().await;
    }
    app.end().await;
    until_answer("connections", 0, async || proxy.open()).await;
    until_answer("connections of the broker", 0, async || {
        node.connections(place.id()).await
    })
    .await;
    capture::assert_no_password();
}
