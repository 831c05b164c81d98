//! Cases that compare received messages with the ones that were sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Harness;
use super::random::Random;
use super::tools::*;
use brighter_core::id::MessageId;
use brighter_core::message::{EventAttributes, Message, MessageBody, MessageHeader, MessageType};
use brighter_core::trace::TraceContext;

const UNICODE: &str = "ünï·漢字·\u{1F980}·é·\"quoted\"; a=b";
const TRACE_PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Publishes messages, and fails unless each is received unchanged.
async fn come_back<H: Harness>(harness: &H, sent: Vec<Message>, told: &str) {
    let broker = harness.connect().await;
    let mut consumer = consume(harness, &broker, &harness.channel("faithful", "Faithful")).await;
    for message in &sent {
        publish(harness, &broker, std::slice::from_ref(message)).await;
        let came = take(harness, &mut consumer, 1).await.remove(0);
        assert_eq!(readable(&came), readable(message), "{told}");
        assert!(
            came.body == message.body,
            "the body of {} bytes is another; {told}",
            message.body.len()
        );
    }
}

/// Returns the parts of a header that every transport must carry: the time in milliseconds, and no causation id, which
/// is for the outbox.
fn readable(message: &Message) -> MessageHeader {
    let mut header = message.header.clone();
    let since = header.timestamp.duration_since(UNIX_EPOCH).unwrap_or_default();
    header.timestamp = UNIX_EPOCH + Duration::from_millis(since.as_millis() as u64);
    header.causation_id = None;
    header
}

/// Checks that every field of a header is received, with letters of several scripts, for every kind of message.
pub async fn every_header_comes_back<H: Harness>(harness: &H) {
    let full = |kind| {
        let mut header = MessageHeader::new(MessageId::from(UNICODE), "Faithful", kind)
            .with_content_type("application/x-thing; charset=utf-16")
            .with_correlation_id(MessageId::from("of Ünï 17"))
            .with_reply_to("Answers.漢字")
            .with_event(
                EventAttributes::default()
                    .with_type("Thing.Happened.v2")
                    .with_source("https://things.example/ü")
                    .with_subject(UNICODE)
                    .with_data_schema("https://things.example/schema"),
            )
            .with_trace(
                TraceContext::default()
                    .with_traceparent(TRACE_PARENT)
                    .with_tracestate("vendor=1,other=2")
                    .with_baggage("tenant=north"),
            );
        header.handled_count = 3;
        header.bag.insert("text", UNICODE);
        header.bag.insert("empty", "");
        header.bag.insert("Größe", "a name with letters of its own");
        header.bag.insert("Case", 1);
        header.bag.insert("case", 2);
        header.bag.insert("true", true);
        header.bag.insert("false", false);
        header.bag.insert("least", i64::MIN);
        header.bag.insert("most", i64::MAX);
        header.bag.insert("third", 1.0 / 3.0);
        header.bag.insert("long", "x".repeat(2000));
        Message::new(header, MessageBody::new(UNICODE))
    };
    let plain = MessageHeader::new(MessageId::new(), "Faithful", MessageType::Event);
    let sent = [MessageType::Command, MessageType::Event, MessageType::Document].map(full);
    let sent = sent
        .into_iter()
        .chain([Message::new(plain, MessageBody::new("{}"))]);
    come_back(harness, sent.collect(), "every field is set, then none").await;
}

/// Checks a hundred messages of random headers and bytes. A failure reports the seed, and `BRIGHTER_SEED` sets it.
pub async fn random_messages_come_back_as_they_were_sent<H: Harness>(harness: &H) {
    let mut random = Random::seeded();
    let seed = random.seed();
    let sent = (0..100).map(|_| random_message(&mut random)).collect();
    come_back(harness, sent, &format!("BRIGHTER_SEED={seed}")).await;
}

fn random_message(random: &mut Random) -> Message {
    let kinds = [MessageType::Command, MessageType::Event, MessageType::Document];
    let kind = kinds[random.below(3)];
    let mut header = MessageHeader::new(random.text(1, 60).into(), "Faithful", kind);
    header.timestamp = SystemTime::UNIX_EPOCH + Duration::from_millis(random.next() % 253_402_300_799_999);
    header.handled_count = random.below(1_000_000) as u32;
    if random.flip() {
        header = header.with_correlation_id(random.text(1, 60).into());
    }
    if random.flip() {
        header = header.with_reply_to(random.text(1, 60));
    }
    if random.flip() {
        let event = EventAttributes::default().with_subject(random.text(1, 100));
        header = header.with_event(event.with_type(random.text(1, 100)));
    }
    if random.flip() {
        header = header.with_trace(TraceContext::default().with_traceparent(TRACE_PARENT));
    }
    for _ in 0..random.below(6) {
        // The reserved names of transports begin differently.
        let name = format!("app-{}", random.text(0, 40));
        match random.below(4) {
            0 => header.bag.insert(name, random.flip()),
            1 => header.bag.insert(name, random.next() as i64),
            2 => header.bag.insert(name, random.next() as f64 / 3.0),
            _ => header.bag.insert(name, random.text(0, 300)),
        };
    }
    let bytes: Vec<u8> = (0..random.below(2_000)).map(|_| random.next() as u8).collect();
    Message::new(header, MessageBody::new(bytes))
}

/// Checks bodies without bytes, with every byte, and with many bytes.
pub async fn empty_and_large_bodies_come_back<H: Harness>(harness: &H) {
    let largest = harness.largest_body();
    let bodies = [
        Vec::new(),
        vec![0],
        (0..=u8::MAX).collect(),
        (0..70_000_u32).map(|number| (number % 251) as u8).collect(),
        (0..largest).map(|number| (number % 241) as u8).collect(),
    ];
    let message = |body: Vec<u8>| {
        let header = MessageHeader::new(MessageId::new(), "Faithful", MessageType::Command);
        Message::new(
            header.with_content_type("application/octet-stream"),
            MessageBody::new(body),
        )
    };
    come_back(harness, bodies.map(message).into(), "bodies of many sizes").await;
}
