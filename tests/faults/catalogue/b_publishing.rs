//! A channel that publishes, and what goes wrong on it: B04, B05, B09.

use std::time::Duration;

use brighter::channel::{Broker, Producer, PublishError};
use brighter_faults::capture;
use brighter_faults::frames::Kind;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node::{self, Node};
use brighter_faults::place::{Place, message};
use brighter_faults::proxy::{Act, Direction, Proxy, Rule};
use brighter_faults::scale::report;
use brighter_faults::traffic::{Traffic, consume, handle_all};
use brighter_faults::wait::in_time;
use futures_util::future::join_all;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b04_a_deleted_exchange_loses_no_message_in_flight() {
    let node = node::shared().await;
    the_exchange_goes(&node, &Place::new(&node)).await;
}

/// A channel that is closed while more is about to be written on it costs the connection: the broker closes that over
/// what follows the client's answer. Here the answer itself follows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b04_a_connection_lost_with_its_channel_is_no_outage() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    proxy.add(Rule::next(
        Direction::ToBroker,
        Kind::CHANNEL_CLOSE_OK,
        Act::Duplicate,
    ));
    the_exchange_goes(&node, &Place::at(&node, proxy.address())).await;
    assert_eq!(proxy.followed(), 1);
    // To consume, to publish, and to publish again.
    assert!(proxy.attempts() >= 3, "{} connections", proxy.attempts());
}

/// Deletes the exchange while 50 messages are about to be published. Each is told what is true of it.
async fn the_exchange_goes(node: &Node, place: &Place) {
    let broker = place.connect().await;
    let channel = place.channel("b04", "b04");
    let consumer = consume(&broker, &channel).await;
    let exchange = place.exchange();
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, Duration::from_secs(30));
    traffic.one("b04").await;
    ledger.fault();
    node.eval(&format!(
        "rabbit_exchange:delete(rabbit_misc:r(<<\"/\">>, exchange, <<\"{exchange}\">>), false, <<\"a test\">>), done."
    ))
    .await;
    let messages: Vec<_> = (0..50).map(|n| message("b04", &format!("b04-{n}"))).collect();
    let outcomes = in_time(
        "all of them",
        join_all(messages.iter().map(|m| broker.publish(m))),
    )
    .await;
    let mut unroutable = 0;
    for outcome in outcomes {
        match outcome {
            // Alone on the channel that was closed over it.
            Err(PublishError::Refused { reason }) => assert!(reason.contains(&exchange), "{reason}"),
            // The exchange was declared again before it was sent again, and nothing is bound to it.
            Err(PublishError::Unroutable { .. }) => unroutable += 1,
            // Nobody is told of an outage, for there is none.
            other => panic!("{other:?}"),
        }
    }
    report(
        "B04",
        format_args!("{unroutable} of 50 sent again one by one, the others refused by name"),
    );
    // Consuming declares the exchange and its bindings; then all that was unknown is published again.
    drop(consumer);
    drop(consume(&broker, &channel).await);
    ledger.cleared();
    for message in &messages {
        traffic.publish(message).await;
    }
    handle_all(&broker, &channel, &ledger, messages.len() + 1).await;
    let verdict = ledger.verdict();
    verdict.check("B04");
    assert_eq!(verdict.handled, messages.len() + 1);
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b05_a_returned_message_is_unroutable_despite_its_ack() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let channel = place.channel("b05", "b05");
    drop(consume(&broker, &channel).await);
    // Whatever comes in one piece or in several: a return may be far from its confirm.
    proxy.add(Rule::next(
        Direction::ToClient,
        Kind::RETURN,
        Act::Delay(Duration::from_millis(100)),
    ));
    let messages: Vec<_> = (0..200)
        .map(|n| message(if n % 3 == 0 { "b05.nobody" } else { "b05" }, &format!("b05-{n}")))
        .collect();
    let outcomes = in_time(
        "all of them",
        join_all(messages.iter().map(|m| broker.publish(m))),
    )
    .await;
    let ledger = Ledger::new();
    for (message, outcome) in messages.iter().zip(outcomes) {
        let id = message.header.id.to_string();
        match (message.header.topic.as_str(), outcome) {
            ("b05", Ok(())) => {
                ledger.write(Entry::Attempted, &id);
                ledger.write(Entry::Acknowledged, &id);
            }
            ("b05.nobody", Err(PublishError::Unroutable { topic })) => assert_eq!(topic, "b05.nobody"),
            (topic, outcome) => panic!("{id} to {topic}: {outcome:?}"),
        }
    }
    handle_all(&broker, &channel, &ledger, ledger.count(Entry::Acknowledged)).await;
    ledger.verdict().check("B05");
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b09_oversized_headers_are_refused_without_losing_the_connection() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let channel = place.channel("b09", "b09");
    drop(consume(&broker, &channel).await);
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, Duration::from_secs(30));
    traffic.one("b09").await;
    let before = proxy.seen(Direction::ToBroker, Kind::PUBLISH);
    let mut large = message("b09", "large");
    large.header.bag.insert("large", "x".repeat(200_000).as_str());
    let error = broker.publish(&large).await.unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { .. }), "{error:?}");
    assert_eq!(proxy.seen(Direction::ToBroker, Kind::PUBLISH), before);
    traffic.one("b09").await;
    assert_eq!(traffic.failed(), 0);
    // One connection each to publish and to consume, as at the start.
    assert_eq!(proxy.attempts(), 2);
    handle_all(&broker, &channel, &ledger, 2).await;
    ledger.verdict().check("B09");
    capture::assert_no_password();
    broker.close().await;
}
