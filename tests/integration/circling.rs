//! Channels for dead letters and invalid messages that lead back to where a message came from.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::channel::{Broker, Channel, DeclareMode, Producer};
use brighter::error::Reject;
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::processor::BuildError;
use brighter_tests::rabbitmq::{Corner, Raw};
use brighter_tests::wait::{until, until_eq};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

/// How often a channel sets a message aside before the message has gone round.
const ROUNDS: usize = 5;
/// How long it waits then.
const WAIT: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Circling.Parcel")]
struct Parcel {
    number: u32,
}

fn parcel(number: u32) -> Message {
    let header = MessageHeader::new(MessageId::new(), "Circling.Parcel", MessageType::Command);
    let body = serde_json::to_vec(&Parcel { number }).unwrap();
    Message::new(header, MessageBody::new(body))
}

/// Accepts no parcel, until it has been asked so often that it must be a circle.
#[derive(Clone, Default)]
struct Refuses(Arc<AtomicUsize>);

impl Refuses {
    fn asked(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[handler]
impl Handler<Parcel> for Refuses {
    async fn handle(&self, parcel: &Parcel) -> Result<(), BoxError> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            // A test that fails ends.
            200.. => Ok(()),
            _ if parcel.number == 0 => Ok(()),
            _ => Err(Reject::because("refused").into()),
        }
    }
}

fn dispatcher(
    broker: impl Broker,
    handler: &Refuses,
    subscriptions: Vec<Subscription<Parcel>>,
) -> Result<Dispatcher, BuildErrors> {
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let builder = Dispatcher::builder(processor).drain_timeout(Duration::from_secs(600));
    subscriptions
        .into_iter()
        .fold(builder, |builder, subscription| {
            builder.subscription(subscription)
        })
        .build()
}

fn reads(channel: &str, dead_letters: &str) -> Subscription<Parcel> {
    Subscription::new(channel).dead_letters(dead_letters)
}

fn ways(errors: &BuildErrors) -> Vec<String> {
    let ways = errors.iter().map(|error| match error {
        BuildError::SetAsideInCircles { .. } => error.to_string(),
        other => panic!("{other}"),
    });
    ways.collect()
}

#[tokio::test]
async fn build_and_add_refuse_visible_circles() {
    let handler = Refuses::default();
    for (subscriptions, way) in [
        (vec![reads("a", "a")], "(a → a)"),
        (vec![reads("a", "a.dlq").invalid_messages("a")], "(a → a)"),
        (vec![reads("a", "c"), reads("c", "a")], "(c → a → c)"),
        (
            vec![
                reads("a", "c"),
                reads("e", "other").invalid_messages("a"),
                reads("c", "e"),
            ],
            "(c → e → a → c)",
        ),
    ] {
        let refused = dispatcher(InMemoryBroker::new(), &handler, subscriptions).unwrap_err();
        let [said] = &ways(&refused)[..] else {
            panic!("{refused}");
        };
        assert!(
            said.contains(way) && said.contains("`.dead_letters(…)`"),
            "{said}"
        );
    }
    // The dead letters of dead letters, and two that share a channel for them.
    let right = vec![reads("a", "dlq"), reads("c", "dlq"), reads("dlq", "dlq.dlq")];
    let dispatcher = dispatcher(InMemoryBroker::new(), &handler, right).unwrap();
    let refused = dispatcher.add(reads("dlq.dlq", "a")).unwrap_err();
    assert!(
        ways(&refused)[0].contains("(dlq.dlq → a → dlq → dlq.dlq)"),
        "{refused}"
    );
}

/// The one does not know where the other sets aside: their message goes round some times, then waits where it is, and is
/// let out once a person has mended the names.
#[tokio::test(start_paused = true)]
async fn a_message_circling_through_processes_waits_and_survives() {
    let broker = InMemoryBroker::new();
    let (one, other) = (Refuses::default(), Refuses::default());
    let first = dispatcher(broker.clone(), &one, vec![reads("a", "c")]).unwrap();
    // The other has made it, as the channel for its dead letters.
    let as_it_is = |dead_letters| reads("c", dead_letters).declare_channel(DeclareMode::Assume);
    let second = dispatcher(broker.clone(), &other, vec![as_it_is("a")]).unwrap();
    for dispatcher in [&first, &second] {
        dispatcher.receive();
        dispatcher.wait_until_consuming().await;
    }
    let sent = parcel(1);
    broker.publish(&sent).await.unwrap();
    until_eq("handled", (ROUNDS, ROUNDS), || (one.asked(), other.asked())).await;
    // Others get through.
    broker.publish(&parcel(0)).await.unwrap();
    until_eq("handled", (ROUNDS + 1, ROUNDS), || (one.asked(), other.asked())).await;
    // It waits, and is handled again after that: not more often.
    tokio::time::sleep(WAIT * 3 + WAIT / 2).await;
    assert_eq!((one.asked(), other.asked()), (ROUNDS + 1, ROUNDS + 3));
    second.end().await;

    let mended = Refuses::default();
    broker.declare(&Channel::new("c.dlq", "none")).await.unwrap();
    let second = dispatcher(broker.clone(), &mended, vec![as_it_is("c.dlq")]).unwrap();
    second.receive();
    second.wait_until_consuming().await;
    tokio::time::sleep(WAIT).await;
    assert_eq!(mended.asked(), 1);
    let dead = broker.messages("c.dlq");
    assert_eq!((dead.len(), &dead[0].header.id), (1, &sent.header.id));
    let noted = dead[0].header.bag.get("rejectedBy").unwrap();
    assert_eq!(noted.as_str(), Some(r#"{"a":5,"c":5}"#));
    for dispatcher in [&first, &second] {
        dispatcher.end().await;
    }
}

/// On RabbitMQ, with what can be handled, and with what makes no sense to anybody.
#[tokio::test]
async fn a_message_circling_through_rabbitmq_waits_in_a_queue() {
    let corner = Corner::new();
    let (a, c) = (corner.queue("a"), corner.queue("c"));
    let waits = corner.queue("c.delay.900000");
    corner.queue("c.invalid");
    let handler = Refuses::default();
    let second = reads(&c, &a).invalid_messages(a.as_str()).routing_key("none");
    let second = dispatcher(corner.connect().await, &handler, vec![second]).unwrap();
    second.receive();
    second.wait_until_consuming().await;
    // The other has made it, as the queue for its dead letters.
    let first = reads(&a, &c)
        .invalid_messages(c.as_str())
        .declare_channel(DeclareMode::Assume);
    let first = dispatcher(corner.connect().await, &handler, vec![first]).unwrap();
    first.receive();
    first.wait_until_consuming().await;

    let raw = Raw::connect().await;
    let mut headers = FieldTable::default();
    headers.insert("MessageType".into(), AMQPValue::LongString("MT_QUIT".into()));
    let nonsense = BasicProperties::default().with_headers(headers);
    raw.put(&a, nonsense, b"nonsense").await;
    let good = BasicProperties::default().with_content_type("application/json".into());
    raw.put(&a, good, br#"{"number":1}"#).await;
    until("it was handled in ten rounds", || handler.asked() >= 2 * ROUNDS).await;
    raw.until_depth(&waits, 2).await;
    assert_eq!(handler.asked(), 2 * ROUNDS);
    for dispatcher in [first, second] {
        dispatcher.end().await;
        dispatcher.processor().close().await;
    }
    assert_eq!((raw.depth(&a).await, raw.depth(&c).await), (0, 0));
    let mut bodies = vec![
        raw.take(&waits).await.data.clone(),
        raw.take(&waits).await.data.clone(),
    ];
    bodies.sort();
    assert_eq!(bodies, [&b"nonsense"[..], br#"{"number":1}"#]);
}
