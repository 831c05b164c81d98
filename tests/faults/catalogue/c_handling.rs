//! Messages that cannot be handled, or not yet: C03, C07 to C10.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brighter::Message;
use brighter::channel::{Broker, Producer, SettleError, rejection_headers};
use brighter::mapper::{MapError, MessageMapper};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::policy::CircuitBreaker;
use brighter::prelude::*;
use brighter_faults::app::{App, Deed, Doer, What, order};
use brighter_faults::capture;
use brighter_faults::frames::Kind;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node;
use brighter_faults::place::Place;
use brighter_faults::proxy::{Act, Direction, Proxy, Rule};
use brighter_faults::scale::{report, size};
use brighter_faults::traffic::{Traffic, consume, id, next};
use brighter_faults::wait::until_answer;
use lapin::options::{BasicGetOptions, BasicPublishOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Connection, ConnectionProperties};

const CONFIRM: Duration = Duration::from_secs(30);

/// Takes what has been set aside in a queue: its id, its reason, and its bytes.
pub(super) async fn set_aside(place: &Place, queue: &str, count: usize) -> Vec<(String, String, Vec<u8>)> {
    let raw = Connection::connect(place.url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = raw.create_channel().await.unwrap();
    let mut found = Vec::new();
    brighter_faults::wait::in_time("what was set aside", async {
        while found.len() < count {
            let options = BasicGetOptions { no_ack: true };
            let Some(got) = channel.basic_get(queue.into(), options).await.unwrap() else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let properties = &got.delivery.properties;
            let id = properties
                .message_id()
                .as_ref()
                .map_or(String::new(), ToString::to_string);
            let headers = properties.headers().clone().unwrap_or_default();
            let reason = match headers.inner().get(rejection_headers::MESSAGE) {
                Some(AMQPValue::LongString(reason)) => reason.to_string(),
                other => panic!("{other:?}"),
            };
            found.push((id, reason, got.delivery.data.clone()));
        }
    })
    .await;
    raw.close(200, "done".into()).await.unwrap();
    found
}

/// A request whose mapper panics.
#[derive(Debug, Message)]
#[message(topic = "Cursed", mapper = CursedMapper)]
struct Cursed;

#[derive(Default)]
struct CursedMapper;

impl MessageMapper<Cursed> for CursedMapper {
    fn to_message(&self, _cursed: &Cursed, header: MessageHeader) -> Result<Message, MapError> {
        Ok(Message::new(header, MessageBody::new("{}")))
    }

    fn to_request(&self, _message: &Message) -> Result<Cursed, MapError> {
        panic!("told to panic in the mapper")
    }
}

struct Never;

#[handler]
impl Handler<Cursed> for Never {
    async fn handle(&self, _cursed: &Cursed) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c03_a_mapper_panic_moves_its_message_to_invalid() {
    let node = node::shared().await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    let processor = CommandProcessor::builder()
        .handler(Never)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let queue = place.queue("cursed");
    let subscription = Subscription::<Cursed>::new(queue.as_str())
        .attempts(2)
        .delays([Duration::from_millis(20)]);
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    // More than one: the pump goes on.
    for _ in 0..2 {
        processor.post(Cursed).await.unwrap();
    }
    for aside in set_aside(&place, &format!("{queue}.invalid"), 2).await {
        assert!(aside.1.contains("told to panic in the mapper"), "{}", aside.1);
    }
    dispatcher.end().await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c03_a_panic_is_retried_and_dead_lettered_with_text() {
    let node = node::shared().await;
    let (place, ledger) = (Place::new(&node), Ledger::new());
    let broker = place.connect().await;
    let queue = place.queue("c03");
    let subscription = Subscription::<Deed>::new(queue.as_str())
        .routing_key("c03")
        .attempts(3)
        .delays([Duration::from_millis(20)]);
    let app = App::start(broker.clone(), &ledger, [subscription]);
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    let cursed = order(&traffic, "c03", [What::Panic; 2]).await;
    order(&traffic, "c03", [What::Note; 3]).await;
    for (id, reason, _) in set_aside(&place, &format!("{queue}.dlq"), 2).await {
        assert!(
            cursed.contains(&id) && reason.contains("told to panic"),
            "{id}: {reason}"
        );
        ledger.write(Entry::SetAside, &id);
    }
    until_answer("handled", 3, async || ledger.distinct(Entry::Handled)).await;
    for id in &cursed {
        assert_eq!(capture::lines(&["message will be retried", id]).len(), 2, "{id}");
    }
    ledger.verdict().check("C03");
    app.end().await;
}

/// A layer of the application's own that panics before its handler is called.
struct CursedLayer;

impl<S> tower::Layer<S> for CursedLayer {
    type Service = Curse;

    fn layer(&self, _: S) -> Curse {
        Curse
    }
}

#[derive(Clone)]
struct Curse;

impl<R> tower::Service<R> for Curse {
    type Response = ();
    type Error = BoxError;
    type Future = std::future::Ready<Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: R) -> Self::Future {
        panic!("a layer panicked")
    }
}

struct BehindACursedLayer;

#[handler]
impl Handler<Deed> for BehindACursedLayer {
    #[layer(CursedLayer, step = 1)]
    async fn handle(&self, _: &Deed) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c03_a_panic_of_a_layer_is_dead_lettered() {
    let node = node::shared().await;
    let (place, ledger) = (Place::new(&node), Ledger::new());
    let broker = place.connect().await;
    let queue = place.queue("c03-layer");
    let subscription = Subscription::<Deed>::new(queue.as_str())
        .routing_key("c03-layer")
        .attempts(2)
        .delays([Duration::from_millis(20)]);
    let processor = CommandProcessor::builder()
        .handler(BehindACursedLayer)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    brighter_faults::wait::in_time("the performer to consume", dispatcher.wait_until_consuming()).await;
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    let cursed = order(&traffic, "c03-layer", [What::Note; 2]).await;
    for (id, reason, _) in set_aside(&place, &format!("{queue}.dlq"), 2).await {
        assert!(
            cursed.contains(&id) && reason.contains("a layer panicked"),
            "{id}: {reason}"
        );
        ledger.write(Entry::SetAside, &id);
    }
    ledger.verdict().check("C03, a layer");
    dispatcher.end().await;
    dispatcher.processor().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c07_poison_is_rejected_with_its_bytes_and_consuming_continues() {
    let node = node::shared().await;
    let (place, ledger) = (Place::new(&node), Ledger::new());
    let broker = place.connect().await;
    let queue = place.queue("c07");
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(queue.as_str()).routing_key("c07")],
    );
    app.wait_until_consuming().await;

    let raw = Connection::connect(place.url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = raw.create_channel().await.unwrap();
    let json = || BasicProperties::default().with_content_type("application/json".into());
    let with = |name: &str, value: AMQPValue| {
        let mut headers = FieldTable::default();
        headers.insert(name.into(), value);
        json().with_headers(headers)
    };
    let whole = serde_json::to_vec(&Deed::new(What::Note)).unwrap();
    let poison: [(&str, BasicProperties, &[u8]); 6] = [
        ("not-json", json(), b"this is no JSON"),
        ("wrong-shape", json(), b"{\"id\": 5}"),
        (
            "unknown-type",
            with("MessageType", AMQPValue::LongString("MT_NONSENSE".into())),
            &whole,
        ),
        ("empty", json(), b""),
        ("no-content-type", BasicProperties::default(), b"\x00\x01\x02"),
        (
            "bad-utf8",
            with("MessageId", AMQPValue::LongString(b"\xff\xfe".to_vec().into())),
            b"{}",
        ),
    ];
    for (name, properties, body) in &poison {
        let properties = properties.clone().with_message_id(ShortString::from(*name));
        let options = BasicPublishOptions::default();
        channel
            .basic_publish("".into(), queue.as_str().into(), options, body, properties)
            .await
            .unwrap();
    }
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    order(&traffic, "c07", [What::Note; 3]).await;
    until_answer("handled", 3, async || ledger.distinct(Entry::Handled)).await;
    let mut left: Vec<_> = poison
        .iter()
        .map(|(name, _, body)| (*name, body.to_vec()))
        .collect();
    for (id, reason, bytes) in set_aside(&place, &format!("{queue}.invalid"), poison.len()).await {
        assert!(!reason.is_empty(), "{id}");
        left.retain(|(name, body)| *name != id || *body != bytes);
    }
    assert!(left.is_empty(), "not set aside as they came: {left:?}");
    ledger.verdict().check("C07");
    assert!(app.is_ready());
    app.end().await;
    raw.close(200, "done".into()).await.unwrap();
}

/// Fails, and counts how often it was asked.
#[derive(Clone, Default)]
struct Failing(Arc<AtomicUsize>);

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Doomed")]
struct Doomed;

#[handler]
impl Handler<Doomed> for Failing {
    #[use_policy(breaker, step = 1)]
    async fn handle(&self, _doomed: &Doomed) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err("always".into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c08_an_open_breaker_prevents_a_storm_of_nacks() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let (place, ledger) = (Place::at(&node, proxy.address()), Ledger::new());
    let broker = place.connect().await;
    let failing = Failing::default();
    let policies = PolicyRegistry::default().insert(
        "breaker",
        CircuitBreaker::consecutive(5, Duration::from_secs(600)),
    );
    let processor = CommandProcessor::builder()
        .handler(failing.clone())
        .handler(Doer::new(&ledger))
        .policies(policies)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(Subscription::<Doomed>::new(place.queue("doomed")).routing_key("c08.doomed"))
        .subscription(Subscription::<Deed>::new(place.queue("fine")).routing_key("c08.fine"))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let messages = size(200, 1_000);
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    let doomed: Vec<_> = (0..messages)
        .map(|_| {
            let header = MessageHeader::new(MessageId::new(), "c08.doomed", MessageType::Event)
                .with_content_type("application/json");
            Message::new(header, MessageBody::new("null"))
        })
        .collect();
    for outcome in broker.publish_all(doomed.iter().collect()).await {
        outcome.unwrap();
    }
    until_answer("asked", 5, async || failing.0.load(Ordering::SeqCst)).await;
    // The other subscription does not notice, and while it works the open one asks for nothing.
    order(&traffic, "c08.fine", (0..50).map(|_| What::Note)).await;
    until_answer("handled", 50, async || ledger.distinct(Entry::Handled)).await;
    assert_eq!(failing.0.load(Ordering::SeqCst), 5);
    let given_back =
        proxy.seen(Direction::ToBroker, Kind::NACK) + proxy.seen(Direction::ToBroker, Kind::REJECT);
    report(
        "C08",
        format_args!("{messages} fail: handler asked 5 times, {given_back} nacks"),
    );
    assert!(given_back <= 1, "{given_back}");
    ledger.verdict().check("C08");
    dispatcher.end().await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c09_delays_survive_a_restart_and_do_not_block() {
    let node = node::to_harm().await;
    let (place, ledger) = (Place::new(&node), Ledger::new());
    let broker = place.connect().await;
    let delays = size([200, 500, 2_000], [1_000, 5_000, 30_000]).map(Duration::from_millis);
    let slow = delays[2] + Duration::from_secs(8);
    let app = App::start(
        broker.clone(),
        &ledger,
        [
            Subscription::<Deed>::new(place.queue("c09"))
                .routing_key("c09")
                .delays(delays),
            Subscription::<Deed>::new(place.queue("long"))
                .routing_key("c09.long")
                .delays([slow]),
        ],
    );
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    let begun = Instant::now();
    order(&traffic, "c09.long", [What::Fail(1)]).await;
    order(&traffic, "c09", [What::Fail(3); 3]).await;
    until_answer("handled", 3, async || ledger.distinct(Entry::Handled)).await;
    let took = begun.elapsed();
    let due: Duration = delays.iter().sum();
    report("C09", format_args!("due after {due:?}, handled after {took:?}"));
    assert!(took >= due, "too early: {took:?}");
    // One is parked over a restart of the broker.
    ledger.fault();
    node.stop().await;
    node.start_again().await;
    ledger.cleared();
    until_answer("handled", 4, async || ledger.distinct(Entry::Handled)).await;
    assert!(begun.elapsed() >= slow, "too early");
    let verdict = ledger.verdict();
    verdict.check("C09");
    assert!(verdict.duplicated.is_empty());
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c10_an_unconfirmed_retry_copy_keeps_the_original() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let (place, ledger) = (Place::at(&node, proxy.address()), Ledger::new());
    let broker = place
        .builder()
        .confirm_timeout(Duration::from_millis(500))
        .connect()
        .await
        .unwrap();
    let channel = place.channel("c10", "c10");
    let mut consumer = consume(&broker, &channel).await;
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    let sent = traffic.one("c10").await;
    let delivery = next(&mut consumer).await;
    // The copy never leaves.
    ledger.fault();
    proxy.add(Rule::next(Direction::ToBroker, Kind::Body, Act::Drop));
    let settled = delivery.requeue(Duration::ZERO, true).await;
    assert!(matches!(settled, Err(SettleError::NotMoved(_))), "{settled:?}");
    ledger.cleared();
    assert_eq!(proxy.seen(Direction::ToBroker, Kind::ACK), 0);
    let again = next(&mut consumer).await;
    assert_eq!(id(&again), sent);
    ledger.write(Entry::Handled, &sent);
    again.ack().await.unwrap();
    ledger.verdict().check("C10");
    broker.close().await;
}
