//! The network between us and the broker fails: A05, A06, A08.

use std::time::{Duration, Instant};

use brighter::channel::{Broker, Producer, PublishError};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::{Message, MessageId};
use brighter_faults::app::{App, Deed, What, order};
use brighter_faults::capture;
use brighter_faults::frames::Kind;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node;
use brighter_faults::place::{Place, message};
use brighter_faults::proxy::{Act, Direction, Proxy, Rule};
use brighter_faults::scale::report;
use brighter_faults::traffic::{Traffic, consume, next};
use brighter_faults::wait::{in_time, until_answer};

const CONFIRM: Duration = Duration::from_secs(30);

/// How many lines say that the connection of this role was lost.
fn lost(role: &str, place: &Place) -> usize {
    let address = place.url().rsplit_once('@').map_or("", |(_, address)| address);
    let role = format!("role=\"{role}\"");
    capture::lines(&["connection to RabbitMQ lost", &role, address]).len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a05_publishing_survives_a_closed_consumer_connection() {
    let node = node::shared().await;
    // A way of our own, by which to tell our lines in the log.
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let ledger = Ledger::new();
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(place.queue("a05")).routing_key("a05")],
    );
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    order(&traffic, "a05", [What::Note; 5]).await;
    ledger.fault();
    assert_eq!(
        node.close_connections(&format!("{} consumer", place.id())).await,
        1
    );
    ledger.cleared();
    order(&traffic, "a05", [What::Note; 5]).await;
    until_answer("handled", 10, async || ledger.distinct(Entry::Handled)).await;
    app.wait_until_consuming().await;
    ledger.verdict().check("A05 consumer");
    assert_eq!(traffic.failed(), 0);
    assert_eq!((lost("publisher", &place), lost("consumer", &place)), (0, 1));
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a05_consuming_survives_a_closed_publisher_connection() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let ledger = Ledger::new();
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(place.queue("a05")).routing_key("a05")],
    );
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    order(&traffic, "a05", [What::Note; 5]).await;
    ledger.fault();
    assert_eq!(
        node.close_connections(&format!("{} publisher", place.id())).await,
        1
    );
    ledger.cleared();
    order(&traffic, "a05", [What::Note; 5]).await;
    until_answer("handled", 10, async || ledger.distinct(Entry::Handled)).await;
    ledger.verdict().check("A05 publisher");
    assert!(app.is_ready());
    assert_eq!((lost("publisher", &place), lost("consumer", &place)), (1, 0));
    assert_eq!(proxy.seen(Direction::ToBroker, Kind::CONSUME), 1);
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a06_a_silent_network_is_detected_and_no_publish_hangs() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let heartbeat = Duration::from_secs(1);
    let confirm = Duration::from_secs(2);
    let broker = place
        .builder()
        .heartbeat_interval(heartbeat)
        .confirm_timeout(confirm)
        .connect()
        .await
        .unwrap();
    let ledger = Ledger::new();
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(place.queue("a06")).routing_key("a06")],
    );
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker.clone(), &ledger, confirm);
    order(&traffic, "a06", [What::Note; 5]).await;
    until_answer("handled", 5, async || ledger.distinct(Entry::Handled)).await;

    ledger.fault();
    let begun = Instant::now();
    proxy.black_hole(true);
    let unconfirmed = in_time("the deadline", broker.publish(&message("a06.nobody", "1"))).await;
    assert!(
        matches!(
            unconfirmed,
            Err(PublishError::TimedOut { .. } | PublishError::Disconnected(_))
        ),
        "{unconfirmed:?}"
    );
    app.not_ready().await;
    until_answer("found", (1, 1), async || {
        (lost("publisher", &place).min(1), lost("consumer", &place).min(1))
    })
    .await;
    report(
        "A06",
        format_args!("found after {:?}, heartbeat {heartbeat:?}", begun.elapsed()),
    );
    proxy.black_hole(false);
    ledger.cleared();
    order(&traffic, "a06", [What::Note; 5]).await;
    until_answer("handled", 10, async || ledger.distinct(Entry::Handled)).await;
    app.wait_until_consuming().await;
    ledger.verdict().check("A06");
    capture::assert_no_password();
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a08_a_reset_between_header_and_body_truncates_nothing() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let mut consumer = consume(&broker, &place.channel("a08", "a08")).await;
    // Cut at its beginning, and in its midst, at which the broker has seen half a frame.
    for act in [Act::Reset, Act::CutAfter(4_000)] {
        let header = MessageHeader::new(MessageId::new(), "a08", MessageType::Event);
        let sent = Message::new(header, MessageBody::new(vec![7; 100_000]));
        let followed = proxy.followed();
        proxy.add(Rule::next(Direction::ToBroker, Kind::Body, act));
        let error = in_time("the reset", broker.publish(&sent)).await.unwrap_err();
        assert!(matches!(error, PublishError::Disconnected(_)), "{error:?}");
        assert_eq!(proxy.followed(), followed + 1);
        in_time("the retry", async {
            // The other connection went with it, so more than one may be needed while they come back.
            while let Err(error) = broker.publish(&sent).await {
                assert!(error.is_outage(), "{error:?}");
            }
        })
        .await;
        let delivery = match in_time("a delivery", consumer.receive()).await {
            Some(Ok(delivery)) => delivery,
            _ => {
                consumer = consume(&broker, &place.channel("a08", "a08")).await;
                next(&mut consumer).await
            }
        };
        let came = delivery.message().unwrap();
        assert_eq!(came.header.id, sent.header.id);
        assert_eq!(came.body.as_bytes(), sent.body.as_bytes());
        delivery.ack().await.unwrap();
    }
    capture::assert_no_password();
    broker.close().await;
}
