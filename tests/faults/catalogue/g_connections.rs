//! Connections to a cluster, and through what stands before it: G03 for a publisher, G07, G09 and G10.

use std::time::{Duration, Instant};

use brighter::channel::{Broker, BrokerStatus, ChannelError, Producer, PublishError, QueueType};
use brighter::prelude::*;
use brighter::processor::Unhealthy;
use brighter::transport::rabbitmq::{ExchangeKind, RabbitMqBuilder};
use brighter::{CommandProcessor, RabbitMq};
use brighter_faults::app::{App, Deed, What, order};
use brighter_faults::balancer::LoadBalancer;
use brighter_faults::capture;
use brighter_faults::frames::Kind;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node::{self, Node};
use brighter_faults::place::{Place, message};
use brighter_faults::proxy::{Act, Direction, Proxy, Rule};
use brighter_faults::scale::report;
use brighter_faults::traffic::{Traffic, consume, id, next};
use brighter_faults::wait::{in_time, until_answer};
use tokio::time::sleep;

/// `Channel.Open`.
const CHANNEL_OPEN: Kind = Kind::Method(20, 10);

/// A broker of two nodes, as far as its clients can see: two ways to one node, so that both have all queues.
fn cluster(node: &Node, place: &Place, ways: [&Proxy; 2]) -> RabbitMqBuilder {
    RabbitMq::cluster(ways.map(|way| node.url_at(way.address())))
        .exchange(place.exchange(), ExchangeKind::Topic)
        .connection_name(place.id())
}

/// What a node does that is cut off from its peers: it answers, and confirms nothing.
fn confirm_nothing(way: &Proxy) {
    for _ in 0..10_000 {
        way.add(Rule::next(Direction::ToClient, Kind::ACK, Act::Drop));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g03_an_unconfirmed_publisher_moves_to_another_node() {
    let node = node::shared().await;
    let (one, other) = (
        Proxy::start(node.address()).await,
        Proxy::start(node.address()).await,
    );
    let place = Place::new(&node);
    let confirm = Duration::from_secs(60);
    let broker = cluster(&node, &place, [&one, &other])
        .confirm_timeout(confirm)
        // It stays where it goes to.
        .rebalance_interval(None)
        .connect()
        .await
        .unwrap();
    let channel = place.channel("g03", "g03");
    let mut consumer = consume(&broker, &channel).await;
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, confirm);
    traffic.one("g03").await;
    assert_eq!(broker.status(), BrokerStatus::Connected);

    // The node that the publisher is connected to, and no other, confirms nothing any more.
    let published = |way: &Proxy| way.seen(Direction::ToBroker, Kind::PUBLISH);
    let (cut_off, well) = match published(&one) {
        0 => (&other, &one),
        _ => (&one, &other),
    };
    let before = published(well);
    ledger.fault();
    confirm_nothing(cut_off);
    let begun = Instant::now();
    let publishing: Vec<_> = (0..5)
        .map(|_| {
            let traffic = traffic.clone();
            tokio::spawn(async move { traffic.one("g03").await })
        })
        .collect();
    until_answer("what the status says", true, async || {
        matches!(broker.status(), BrokerStatus::Unconfirmed { .. })
    })
    .await;
    let told = begun.elapsed();
    // They are sent again by the other node, within their deadline, and nobody has to do anything.
    for publishing in publishing {
        in_time("a confirm", publishing).await.unwrap();
    }
    report(
        "G03 publisher",
        format_args!(
            "told after {told:?}, confirmed by another node after {:?}",
            begun.elapsed()
        ),
    );
    ledger.cleared();
    assert_eq!(traffic.failed(), 0, "no call has failed");
    assert!(published(well) >= before + 5, "they went by the other node");
    assert_eq!(broker.status(), BrokerStatus::Connected);
    assert!(
        !capture::lines(&[
            "connection to RabbitMQ lost",
            cut_off.address(),
            "confirmed no message"
        ])
        .is_empty()
    );
    while ledger.distinct(Entry::Handled) < 6 {
        let delivery = next(&mut consumer).await;
        ledger.write(Entry::Handled, &id(&delivery));
        delivery.ack().await.unwrap();
    }
    ledger.verdict().check("G03 publisher");
    capture::assert_no_password();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g06_a_deleted_queue_renews_its_publish_channel() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::new(&node);
    // The queue is another's: what this side declares is a reason of its own for a new channel.
    let owner = place.connect().await;
    let channel = place.channel("g06", "g06");
    owner.declare(&channel).await.unwrap();
    let broker = place
        .builder_at(&node.url_at(proxy.address()))
        .connect()
        .await
        .unwrap();
    let opened = || proxy.seen(Direction::ToBroker, CHANNEL_OPEN);
    let publish = async |topic: &str| broker.publish(&message(topic, "1")).await;
    publish("g06").await.unwrap();
    let before = opened();
    publish("g06").await.unwrap();
    assert_eq!(opened(), before);

    node.delete_queue(&place.queue("g06")).await;
    let gone = publish("g06").await;
    assert!(matches!(gone, Err(PublishError::Unroutable { .. })), "{gone:?}");
    owner.declare(&channel).await.unwrap();
    publish("g06").await.unwrap();
    assert_eq!(opened(), before + 1, "the channel is a new one");
    publish("g06").await.unwrap();
    assert_eq!(opened(), before + 1);

    // A topic that nobody wants costs one, and not one for each message.
    for _ in 0..20 {
        let unwanted = publish("g06.nobody").await;
        assert!(
            matches!(unwanted, Err(PublishError::Unroutable { .. })),
            "{unwanted:?}"
        );
        publish("g06").await.unwrap();
    }
    assert!(opened() <= before + 2, "{} channels", opened() - before);
    // So does a queue that is declared by this side.
    let before = opened();
    broker
        .declare(&place.channel("g06.ours", "g06.ours"))
        .await
        .unwrap();
    until_answer("a new channel", true, async || {
        publish("g06").await.unwrap();
        // One for the declaration, one to publish by.
        opened() >= before + 2
    })
    .await;

    // A message whose confirm does not come holds up no other, although a new channel is wanted.
    proxy.add(Rule::next(Direction::ToClient, Kind::ACK, Act::Drop));
    let stuck = tokio::spawn({
        let broker = broker.clone();
        async move { broker.publish(&message("g06", "stuck")).await }
    });
    until_answer("the dropped confirm", 1, async || proxy.followed()).await;
    broker
        .declare(&place.channel("g06.ours", "g06.ours"))
        .await
        .unwrap();
    for _ in 0..10 {
        publish("g06").await.unwrap();
    }
    assert!(!stuck.is_finished());
    stuck.abort();
    capture::assert_no_password();
    broker.close().await;
    owner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g03_an_unanswered_consumer_leaves_its_node_alone() {
    let node = node::shared().await;
    let (one, other) = (
        Proxy::start(node.address()).await,
        Proxy::start(node.address()).await,
    );
    let place = Place::new(&node);
    let broker = cluster(&node, &place, [&one, &other]).rebalance_interval(None);
    let broker = broker.connect().await.unwrap();
    let channel = |name: &str, queue_type| {
        let mut channel = place.channel(name, &format!("g03.{name}"));
        channel.queue_type = Some(queue_type);
        channel
    };
    let quiet = channel("quiet", QueueType::Quorum);
    let (mut consumer, mut beside) = (
        consume(&broker, &quiet).await,
        consume(&broker, &channel("beside", QueueType::Classic)).await,
    );
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, Duration::from_secs(30));
    traffic.one("g03.beside").await;
    let in_hand = next(&mut beside).await;

    // The node that the consumers are on lets a connection live, and has no answer to what its peers must agree on.
    let consumed = |way: &Proxy| way.seen(Direction::ToBroker, Kind::CONSUME);
    let (cut_off, well) = match consumed(&one) {
        0 => (&other, &one),
        _ => (&one, &other),
    };
    let connections = cut_off.open();
    ledger.fault();
    for _ in 0..100 {
        cut_off.add(Rule::next(Direction::ToBroker, Kind::GET, Act::Drop));
    }
    traffic.one("g03.quiet").await;
    let last = next(&mut consumer).await;
    ledger.write(Entry::Handled, &id(&last));
    last.ack().await.unwrap();
    let begun = Instant::now();
    let ((), (end, ended)) = tokio::join!(
        async {
            until_answer("what the status says", true, async || {
                matches!(broker.status(), BrokerStatus::Unconfirmed { .. })
            })
            .await;
            report("G03 consumer", format_args!("told after {:?}", begun.elapsed()));
        },
        async {
            let end = in_time("the end", consumer.receive()).await;
            (end, begun.elapsed())
        }
    );
    report("G03 consumer", format_args!("ended after {ended:?}"));
    let Some(Err(ChannelError::Unavailable { reason })) = end else {
        panic!("{end:?}");
    };
    drop(consumer);
    for said in ["basic.get", quiet.name.as_str(), cut_off.address()] {
        assert!(reason.contains(said), "{reason}");
    }
    until_answer("the move", 1, async || {
        let moved = capture::lines(&["moved to another node of RabbitMQ", cut_off.address()]);
        moved.len()
    })
    .await;
    // More comes, before the consumer beside it has moved and afterwards; what is in hand is settled where it came from.
    in_time("the move of the consumer beside it", async {
        while consumed(well) == 0 {
            let sent = traffic.one("g03.beside").await;
            let delivery = next(&mut beside).await;
            assert_eq!(id(&delivery), sent);
            ledger.write(Entry::Handled, &sent);
            delivery.ack().await.unwrap();
        }
    })
    .await;
    ledger.write(Entry::Handled, &id(&in_hand));
    in_hand.ack().await.unwrap();
    let mut again = consume(&broker, &quiet).await;
    assert_eq!(consumed(well), 2);
    let queue = place.queue("beside");
    until_answer("what waits or is in hand", (0, 0), async || {
        node.depth(&queue).await
    })
    .await;
    let sent = traffic.one("g03.quiet").await;
    let delivery = next(&mut again).await;
    assert_eq!(id(&delivery), sent);
    ledger.write(Entry::Handled, &sent);
    delivery.ack().await.unwrap();
    ledger.cleared();
    ledger.verdict().check("G03");
    until_answer(
        "connections to the node that was left",
        connections - 1,
        async || cut_off.open(),
    )
    .await;
    capture::assert_no_password();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g03_a_restarted_consumer_is_not_ready_before_an_answer() {
    let node = node::shared().await;
    let (way, place) = (Proxy::start(node.address()).await, Place::new(&node));
    let broker = place.builder_at(&node.url_at(way.address())).connect();
    let ledger = Ledger::new();
    let subscription = Subscription::<Deed>::new(place.queue("g03"))
        .routing_key("g03.again")
        .queue_type(QueueType::Quorum);
    let app = App::start(broker.await.unwrap(), &ledger, [subscription]);
    app.wait_until_consuming().await;

    // The queue takes consumers, and answers none of them: what one without a majority does.
    for _ in 0..1_000 {
        way.add(Rule::next(Direction::ToBroker, Kind::GET, Act::Drop));
    }
    until_answer("ready", false, async || app.dispatcher.is_ready()).await;
    let consumed = || way.seen(Direction::ToBroker, Kind::CONSUME);
    let before = consumed();
    let (begun, mut ready) = (Instant::now(), Duration::ZERO);
    in_time("consumers to begin again", async {
        while consumed() < before + 2 {
            let looked = Instant::now();
            sleep(Duration::from_millis(20)).await;
            if app.dispatcher.is_ready() {
                ready += looked.elapsed();
            }
        }
    })
    .await;
    report(
        "G03 again",
        format_args!(
            "consumed twice more in {:.1?}, ready for {ready:.1?} of it",
            begun.elapsed()
        ),
    );
    assert_eq!(ready, Duration::ZERO);
    // A message comes, which is an answer too.
    let traffic = Traffic::new(place.connect().await, &ledger, Duration::from_secs(30));
    order(&traffic, "g03.again", [What::Note]).await;
    until_answer("handled", 1, async || ledger.distinct(Entry::Handled)).await;
    until_answer("ready", true, async || app.dispatcher.is_ready()).await;
    ledger.verdict().check("G03 again");
    capture::assert_no_password();
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g07_health_reports_a_memory_alarm() {
    let node = node::to_harm().await;
    let place = Place::new(&node);
    let confirm = Duration::from_secs(2);
    let broker = place.builder().confirm_timeout(confirm).connect().await.unwrap();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .build()
        .unwrap();
    let ledger = Ledger::new();
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(place.queue("g07")).routing_key("g07")],
    );
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker.clone(), &ledger, confirm);
    order(&traffic, "g07", [What::Note; 3]).await;
    let is_ready = async || processor.health().await.is_ready();
    until_answer("ready", true, is_ready).await;
    assert!(app.dispatcher.is_ready());

    ledger.fault();
    node.memory_alarm(true).await;
    let begun = Instant::now();
    // The broker says so to a connection that publishes.
    in_time("the alarm", async {
        loop {
            match broker.publish(&message("g07.nobody", "pushed-back")).await {
                Err(PublishError::Blocked { .. }) => break,
                Err(PublishError::Unroutable { .. } | PublishError::TimedOut { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    let health = processor.health().await;
    assert!(
        matches!(&health.reasons[..], [Unhealthy::Blocked { reason }] if reason.contains("memory")),
        "{health:?}"
    );
    let json = serde_json::to_value(&health).unwrap();
    assert_eq!(json["reasons"][0]["kind"], "blocked");
    assert!(!app.dispatcher.health().await.is_ready());
    assert!(!app.dispatcher.is_ready(), "{}", app.dispatcher.readiness());
    report("G07", format_args!("told after {:?}", begun.elapsed()));

    node.memory_alarm(false).await;
    ledger.cleared();
    until_answer("ready", true, is_ready).await;
    until_answer("ready", true, async || app.dispatcher.is_ready()).await;
    order(&traffic, "g07", [What::Note; 3]).await;
    until_answer("handled", 6, async || ledger.distinct(Entry::Handled)).await;
    ledger.verdict().check("G07");
    capture::assert_no_password();
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g09_connections_spread_again_without_duplicate_deliveries() {
    let node = node::shared().await;
    let (one, other) = (
        Proxy::start(node.address()).await,
        Proxy::start(node.address()).await,
    );
    let place = Place::new(&node);
    let ledger = Ledger::new();
    let mut apps = Vec::new();
    // As many as it takes until both nodes have some, and the one that is to go has a consumer.
    let consumers = || one.seen(Direction::ToBroker, Kind::CONSUME);
    while apps.len() < 3 || consumers() == 0 || one.open() < 2 || other.open() == 0 {
        let broker = cluster(&node, &place, [&one, &other])
            .rebalance_interval(Some(Duration::from_secs(1)))
            .connect()
            .await
            .unwrap();
        let subscription = Subscription::<Deed>::new(place.queue("g09"))
            .routing_key("g09")
            .concurrency(4);
        let app = App::start(broker.clone(), &ledger, [subscription]);
        app.wait_until_consuming().await;
        apps.push((broker, app));
    }
    let traffic = Traffic::new(apps[0].0.clone(), &ledger, Duration::from_secs(30));
    order(&traffic, "g09", vec![What::Note; 20]).await;
    until_answer("handled", 20, async || ledger.distinct(Entry::Handled)).await;
    let spread = (one.open(), other.open());
    assert_eq!(spread.0 + spread.1, 2 * apps.len());

    // One node goes: all are on the other.
    one.refuse(true);
    one.reset();
    until_answer("all on one node", (0, 2 * apps.len()), async || {
        (one.open(), other.open())
    })
    .await;
    for (_, app) in &apps {
        app.wait_until_consuming().await;
    }

    // What was handled, and not acked when its connection went, has come again by now.
    let queue = place.queue("g09");
    until_answer("what waits or is in hand", (0, 0), async || {
        node.depth(&queue).await
    })
    .await;
    let handled = ledger.count(Entry::Handled);

    // It comes back while every consumer has messages in hand that take their time, and more keep coming.
    ledger.fault();
    let begun = Instant::now();
    one.refuse(false);
    let publishing = {
        let traffic = traffic.clone();
        tokio::spawn(async move {
            for _ in 0..300 {
                order(&traffic, "g09", [What::Sleep(200)]).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    until_answer("spread as before", spread, async || (one.open(), other.open())).await;
    report(
        "G09",
        format_args!(
            "{spread:?} over the nodes again {:?} after one was back",
            begun.elapsed()
        ),
    );
    ledger.cleared();
    in_time("publishing", publishing).await.unwrap();
    until_answer("handled", 320, async || ledger.distinct(Entry::Handled)).await;
    until_answer("what waits or is in hand", (0, 0), async || {
        node.depth(&queue).await
    })
    .await;
    assert_eq!(
        ledger.count(Entry::Handled),
        handled + 300,
        "none was handled twice"
    );
    assert_eq!(traffic.failed(), 0, "no call has failed");
    ledger.verdict().check("G09");
    let moved = capture::lines(&["moved back to a preferred node of RabbitMQ", one.address()]);
    assert_eq!(moved.len(), spread.0, "{moved:#?}");
    capture::assert_no_password();
    for (_, app) in apps {
        app.end().await;
    }
    until_answer("connections", (0, 0), async || (one.open(), other.open())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g10_a_balancer_cutting_idle_connections_is_reported_once() {
    let node = node::shared().await;
    let idle = Duration::from_secs(2);
    let balancer = LoadBalancer::start(node.address(), idle).await;
    let place = Place::at(&node, balancer.address());
    let broker = place.connect().await;
    let ledger = Ledger::new();
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(place.queue("g10")).routing_key("g10")],
    );
    app.wait_until_consuming().await;
    let told = || {
        let told = capture::lines(&["heartbeat_interval", balancer.address()]);
        let of = |role: &str| told.iter().filter(|line| line.contains(role)).count();
        (of("role=\"publisher\""), of("role=\"consumer\""))
    };
    until_answer("what is told", (1, 1), async || told()).await;
    let cuts = balancer.cuts();
    assert!(cuts >= 6, "{cuts}");
    // It is cut again and again, and that is not told again.
    until_answer("cut again", true, async || balancer.cuts() >= cuts + 4).await;
    assert_eq!(told(), (1, 1));
    let warnings = capture::lines(&["WARN", "connection to RabbitMQ lost", balancer.address()]);
    assert!(warnings.len() <= 6, "{warnings:#?}");
    // Nothing is lost meanwhile.
    let traffic = Traffic::new(broker.clone(), &ledger, Duration::from_secs(30));
    order(&traffic, "g10", [What::Note; 10]).await;
    until_answer("handled", 10, async || ledger.distinct(Entry::Handled)).await;
    ledger.verdict().check("G10");
    app.end().await;

    // With the heartbeat that was named, no connection is idle for long enough.
    let line = capture::lines(&["heartbeat_interval", balancer.address()]).remove(0);
    assert!(line.contains("or less"), "{line}");
    let place = Place::at(&node, balancer.address());
    let broker = place.builder().heartbeat_interval(idle).connect().await.unwrap();
    let mut consumer = consume(&broker, &place.channel("g10", "g10")).await;
    let cuts = balancer.cuts();
    let begun = Instant::now();
    until_answer("many times as old", true, async || begun.elapsed() > 4 * idle).await;
    assert_eq!(balancer.cuts(), cuts);
    broker.publish(&message("g10", "last")).await.unwrap();
    assert_eq!(id(&next(&mut consumer).await), "last");
    report("G10", format_args!("told after {cuts} cuts"));
    capture::assert_no_password();
    broker.close().await;
}
