//! A channel is lost, or messages on it settle in another order: B01 to B03, B06, B07.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use brighter::channel::{Broker, Delivery, SettleError};
use brighter::dispatcher::PerformerState;
use brighter::prelude::*;
use brighter_faults::app::{App, Deed, What, order};
use brighter_faults::capture;
use brighter_faults::frames::Kind;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node;
use brighter_faults::place::Place;
use brighter_faults::proxy::{Act, Direction, Proxy, Rule};
use brighter_faults::scale::{report, size};
use brighter_faults::traffic::{Traffic, consume, id, next};
use brighter_faults::wait::{in_time, until_answer};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};

const CONFIRM: Duration = Duration::from_secs(30);
/// `Channel.Close`, by which a broker says what a client did wrong.
const CHANNEL_CLOSE: Kind = Kind::Method(20, 40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b01_a_queue_with_other_arguments_fails_alone() {
    let node = node::shared().await;
    let place = Place::new(&node);
    let raw = Connection::connect(place.url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = raw.create_channel().await.unwrap();
    let theirs = place.queue("theirs");
    let dead_letters = format!("{theirs}.dlq").into();
    let mut arguments = FieldTable::default();
    arguments
        .insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()))
        .insert(
            "x-dead-letter-routing-key".into(),
            AMQPValue::LongString(dead_letters),
        )
        .insert("x-max-length".into(), AMQPValue::LongInt(77));
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(theirs.as_str().into(), options, arguments)
        .await
        .unwrap();

    let ledger = Ledger::new();
    let broker = place.connect().await;
    let app = App::start(
        broker.clone(),
        &ledger,
        [
            Subscription::<Deed>::new(theirs.as_str()).routing_key("b01.theirs"),
            Subscription::<Deed>::new(place.queue("ours")).routing_key("b01.ours"),
        ],
    );
    let state = |name: &str| {
        let status = app.dispatcher.status();
        let found = status.into_iter().find(|status| status.name.as_str() == name)?;
        Some((
            found.performers.first()?.state,
            found.last_error.unwrap_or_default(),
        ))
    };
    let ours = place.queue("ours");
    until_answer("ours", Some(PerformerState::Consuming), async || {
        state(&ours).map(|(state, _)| state)
    })
    .await;
    until_answer("theirs", Some(PerformerState::Waiting), async || {
        state(&theirs).map(|(state, _)| state)
    })
    .await;
    let (_, error) = state(&theirs).unwrap();
    // What was asked for, what there is, and what to do.
    for said in [theirs.as_str(), "x-max-length", "77"] {
        assert!(error.contains(said), "{error}");
    }
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    order(&traffic, "b01.ours", [What::Note; 3]).await;
    until_answer("handled", 3, async || ledger.distinct(Entry::Handled)).await;
    assert!(!app.is_ready());
    ledger.verdict().check("B01");
    app.end().await;
    raw.close(200, "done".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b02_when_a_channel_dies_no_stale_ack_is_sent() {
    const RUNNING: usize = 20;
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let mut channel = place.channel("b02", "b02");
    channel.buffer = u16::try_from(RUNNING).unwrap().try_into().unwrap();
    let mut consumer = consume(&broker, &channel).await;
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    let mut running = Vec::new();
    for _ in 0..RUNNING {
        traffic.one("b02").await;
        running.push(next(&mut consumer).await);
    }
    // The second of two equal acks is one for a delivery that is none, and costs the channel.
    ledger.fault();
    proxy.add(Rule::next(Direction::ToBroker, Kind::ACK, Act::Duplicate));
    let first = running.remove(0);
    ledger.write(Entry::Handled, &id(&first));
    first.ack().await.unwrap();
    let end = in_time("the loss", consumer.receive()).await;
    assert!(matches!(end, Some(Err(_))), "{end:?}");
    ledger.cleared();
    let acks = proxy.seen(Direction::ToBroker, Kind::ACK);
    for delivery in running {
        let stale = delivery.ack().await;
        assert!(matches!(stale, Err(SettleError::Stale)), "{stale:?}");
    }
    let mut again = consume(&broker, &channel).await;
    for _ in 1..RUNNING {
        let delivery = next(&mut again).await;
        ledger.write(Entry::Handled, &id(&delivery));
        delivery.ack().await.unwrap();
    }
    // Only what came anew is acked, one by one or several at once; the broker has nothing to complain of.
    until_answer("queued", 0, async || node.depth(channel.name.as_str()).await.0).await;
    assert!(proxy.seen(Direction::ToBroker, Kind::ACK) - acks < RUNNING);
    assert_eq!(proxy.seen(Direction::ToClient, CHANNEL_CLOSE), 1);
    ledger.verdict().check("B02");
    capture::assert_no_password();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b03_ack_waits_for_unfinished_deliveries() {
    const PREFETCH: usize = 50;
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let mut channel = place.channel("b03", "b03");
    channel.buffer = u16::try_from(PREFETCH).unwrap().try_into().unwrap();
    let mut consumer = consume(&broker, &channel).await;
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    let mut running: Vec<Delivery> = Vec::new();
    for _ in 0..PREFETCH {
        traffic.one("b03").await;
        running.push(next(&mut consumer).await);
    }
    let ids: Vec<_> = running.iter().map(id).collect();
    // The last is done, and one in the midst, so that there are holes before and between them.
    let done: BTreeSet<_> = [PREFETCH - 1, 20].into_iter().collect();
    for &index in done.iter().rev() {
        let delivery = running.remove(index);
        ledger.write(Entry::Handled, &id(&delivery));
        delivery.ack().await.unwrap();
    }
    until_answer("queued", PREFETCH - done.len(), async || {
        node.depth(channel.name.as_str()).await.0
    })
    .await;
    // The process dies, as far as the broker can see.
    ledger.fault();
    proxy.reset();
    ledger.cleared();
    drop(running);
    let mut again = consume(&broker, &channel).await;
    let mut came = BTreeSet::new();
    for _ in 0..PREFETCH - done.len() {
        let delivery = next(&mut again).await;
        ledger.write(Entry::Handled, &id(&delivery));
        came.insert(id(&delivery));
        delivery.ack().await.unwrap();
    }
    let expected: BTreeSet<_> = (0..PREFETCH)
        .filter(|index| !done.contains(index))
        .map(|index| ids[index].clone())
        .collect();
    assert_eq!(came, expected);
    let verdict = ledger.verdict();
    verdict.check("B03");
    assert!(verdict.duplicated.is_empty());
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b06_a_deleted_queue_is_declared_and_consumed_again() {
    let node = node::shared().await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    let ledger = Ledger::new();
    let queue = place.queue("b06");
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(queue.as_str()).routing_key("b06")],
    );
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    for round in 1..=size(2, 10) {
        app.wait_until_consuming().await;
        let mut changes = Vec::new();
        ledger.fault();
        let begun = Instant::now();
        node.delete_queue(&queue).await;
        in_time("the loss to show", async {
            while app.is_ready() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        changes.push(begun.elapsed());
        ledger.cleared();
        app.wait_until_consuming().await;
        changes.push(begun.elapsed());
        report(
            "B06",
            format_args!(
                "not ready after {:?}, ready again after {:?}",
                changes[0], changes[1]
            ),
        );
        order(&traffic, "b06", [What::Note; 3]).await;
        until_answer("handled", 3 * round, async || ledger.distinct(Entry::Handled)).await;
    }
    let status = app.dispatcher.status();
    let error = status[0].last_error.clone().unwrap_or_default();
    assert!(error.contains(&queue), "{error}");
    ledger.verdict().check("B06");
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b07_when_the_active_consumer_dies_the_standby_consumes() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let (place, ledger) = (Place::at(&node, proxy.address()), Ledger::new());
    let mut channel = place.channel("b07", "b07");
    channel.limits.single_active_consumer = true;
    let active = place.connect().await;
    let mut first = consume(&active, &channel).await;
    // The other goes straight.
    let url = node.url();
    let standby = place.builder_at(url).connect().await.unwrap();
    let mut second = consume(&standby, &channel).await;
    let traffic = Traffic::new(standby.clone(), &ledger, CONFIRM);
    for _ in 0..5 {
        traffic.one("b07").await;
        let delivery = next(&mut first).await;
        ledger.write(Entry::Handled, &id(&delivery));
        delivery.ack().await.unwrap();
    }
    let pending = traffic.one("b07").await;
    let unsettled = next(&mut first).await;
    assert_eq!(id(&unsettled), pending);
    ledger.fault();
    proxy.refuse(true);
    proxy.reset();
    ledger.cleared();
    let begun = Instant::now();
    let mut came = None;
    // An acknowledgement may still have been under way, so what was handled last may come once more before it.
    while came.as_ref() != Some(&pending) {
        let delivery = next(&mut second).await;
        if came.is_none() {
            report(
                "B07",
                format_args!("the standby consumes after {:?}", begun.elapsed()),
            );
        }
        ledger.write(Entry::Handled, came.insert(id(&delivery)));
        delivery.ack().await.unwrap();
    }
    drop(unsettled);
    ledger.verdict().check("B07");
    standby.close().await;
    active.close().await;
}
