//! The manners of the log: one line a change, and no field twice in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brighter::mapper::{MapError, MessageMapper};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::outbox::Outbox;
use brighter::policy::{PolicyRegistry, Retry};
use brighter::prelude::*;
use brighter::{MessageId, Sweeper};
use brighter_tests::log_fields::{fields, repeated_fields};
use brighter_tests::wait::{until, until_eq};

use crate::log::Log;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Errand", kind = "event")]
struct Errand {
    id: MessageId,
}

fn errand() -> Errand {
    Errand { id: MessageId::new() }
}

/// Fails each time, in spite of its policies.
struct Fails;

#[handler]
impl Handler<Errand> for Fails {
    #[use_policy(circuit_breaker, step = 1)]
    #[use_policy(retry, step = 2)]
    async fn handle(&self, _: &Errand) -> Result<(), BoxError> {
        Err("the shop is closed".into())
    }
}

/// Handles each once.
struct Runs;

#[handler]
impl Handler<Errand> for Runs {
    #[use_inbox(on_duplicate = warn, step = 1)]
    async fn handle(&self, _: &Errand) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn each_failed_delivery_is_one_line_at_info() {
    let log = Log::default();
    let _here = log.here();
    let broker = InMemoryBroker::new();
    let processor = CommandProcessor::builder()
        .handler(Fails)
        .policies(PolicyRegistry::default().insert("retry", Retry::attempts(2).fixed(SECOND)))
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Errand>::new("errands").attempts(3))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let errand = errand();
    processor.post(errand.clone()).await.unwrap();
    until_eq("dead letters", 1, || broker.messages("errands.dlq").len()).await;
    dispatcher.end().await;

    let lines = log.lines_with(&errand.id.to_string());
    let [first, second, last] = &lines[..] else {
        panic!("{log:?}")
    };
    for (line, attempt) in [(first, 1), (second, 2)] {
        let attempt = format!("attempt={attempt}");
        for part in [
            " WARN ",
            "message will be retried",
            &attempt,
            "the shop is closed",
            "delay=",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    for part in [
        " ERROR ",
        "moved to the dead-letter channel",
        "attempt=3",
        "to=errands.dlq",
    ] {
        assert!(last.contains(part), "{part} in {last}");
    }
    for line in &log.lines_with("") {
        assert_eq!(repeated_fields(line), [""; 0], "{line}");
        let telemetry = fields(line).into_iter().filter(|name| name.contains('.'));
        assert_eq!(telemetry.collect::<Vec<_>>(), [""; 0], "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn unroutable_messages_warn_once_a_minute_with_a_count() {
    let log = Log::default();
    let _here = log.here();
    let outbox = InMemoryOutbox::new();
    let _processor = CommandProcessor::builder()
        .broker(InMemoryBroker::new())
        .outbox(outbox.clone())
        .sweeper(Sweeper::default().interval(SECOND))
        .build()
        .unwrap();
    let told = || log.lines_with("topic=Nobody");
    for minute in 0..3 {
        // There is always a message that the sweeper has not tried yet.
        for _ in 0..58 {
            let header = MessageHeader::new(MessageId::new(), "Nobody", MessageType::Event);
            let message = Message::new(header, MessageBody::new(""));
            outbox.deposit(&[message], None).await.unwrap();
            tokio::time::sleep(SECOND).await;
            assert!(told().len() <= minute + 1, "{log:?}");
        }
        assert_eq!(told().len(), minute + 1, "{log:?}");
        tokio::time::sleep(MINUTE - 58 * SECOND + SECOND).await;
    }
    let lines = told();
    assert!(
        lines[0].contains(" WARN ") && lines[0].contains("broker refused a message;"),
        "{lines:?}"
    );
    assert!(!lines[0].contains("count="), "{lines:?}");
    for line in &lines[1..3] {
        assert!(
            line.contains(" WARN ") && line.contains("broker refused messages;"),
            "{line}"
        );
        let (_, count) = line.split_once("count=").expect("a count");
        let count: u64 = count.split(' ').next().unwrap_or_default().parse().unwrap();
        assert!(count > 1, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_duplicates_warn_once_a_minute_with_a_count() {
    let log = Log::default();
    let _here = log.here();
    let processor = CommandProcessor::builder()
        .handler(Runs)
        .inbox(InMemoryInbox::new())
        .build()
        .unwrap();
    let errand = errand();
    let told = || log.lines_with("dropped; ");
    for _ in 0..5 {
        processor.publish(errand.clone()).await.unwrap();
    }
    assert_eq!(told().len(), 1, "{log:?}");
    tokio::time::advance(MINUTE).await;
    processor.publish(errand.clone()).await.unwrap();
    let [first, second] = &told()[..] else {
        panic!("{log:?}")
    };
    assert!(
        first.contains(" WARN ") && first.contains("duplicate dropped; "),
        "{first}"
    );
    for part in [" WARN ", "duplicates dropped; ", "count=4", "context="] {
        assert!(second.contains(part), "{part} in {second}");
    }
}

/// Blocks its thread until the watchdog has told so.
#[derive(Default)]
struct Slow;

/// Where [`Slow`] looks, and whether it came to its end.
static WATCHED: std::sync::OnceLock<Log> = std::sync::OnceLock::new();

#[derive(Debug, Clone, Message)]
#[message(topic = "Parchment", kind = "event", mapper = Slow)]
struct Parchment;

impl MessageMapper<Parchment> for Slow {
    fn to_message(&self, _: &Parchment, header: MessageHeader) -> Result<Message, MapError> {
        Ok(Message::new(header, MessageBody::new("")))
    }

    fn to_request(&self, _: &Message) -> Result<Parchment, MapError> {
        let deadline = std::time::Instant::now() + brighter_tests::wait::deadline();
        let log = WATCHED.get_or_init(Log::default);
        while log.lines_with("blocks its thread").is_empty() && std::time::Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(Parchment)
    }
}

#[derive(Clone, Default)]
struct Reads(Arc<AtomicBool>);

#[handler]
impl Handler<Parchment> for Reads {
    async fn handle(&self, _: &Parchment) -> Result<(), BoxError> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// The time of the watchdog is real.
#[tokio::test]
async fn the_watchdog_names_a_mapper_that_blocks() {
    let log = WATCHED.get_or_init(Log::default);
    let _here = log.here();
    let reads = Reads::default();
    let processor = CommandProcessor::builder()
        .handler(reads.clone())
        .broker(InMemoryBroker::new())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Parchment>::new("parchments"))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    processor.post(Parchment).await.unwrap();
    until("it is read", || reads.0.load(Ordering::Relaxed)).await;
    dispatcher.end().await;
    let lines = log.lines_with("blocks its thread");
    for part in [
        "the mapper of a message",
        "let the mapper only decode",
        "subscription=parchments",
    ] {
        assert!(lines[0].contains(part), "{part} in {lines:?}");
    }
    assert_eq!(repeated_fields(&lines[0]), [""; 0], "{lines:?}");
}

#[test]
fn repeated_fields_are_found_in_a_line() {
    let line = r#"WARN handle{subscription=a id=7}:step: x: text = "id=8 \" id=9" error="id=1" id=7 at.b=2"#;
    assert_eq!(fields(line), ["subscription", "id", "error", "id", "at.b"]);
    assert_eq!(repeated_fields(line), ["id"]);
}
