//! Dispatcher and pump: what becomes of a message.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::channel::{Broker, Channel, Producer};
use brighter::dispatcher::PerformerState;
use brighter::mapper::Postable;
use brighter::message::{MessageBody, MessageType};
use brighter::prelude::*;
use brighter::processor::{BuildError, CommandProcessorBuilder};
use brighter::testing::FaultyBroker;
use brighter_tests::wait::{until, until_eq};
use tokio::sync::Notify;

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Work")]
struct Work {
    id: MessageId,
    what: String,
}

fn work(what: &str) -> Work {
    Work {
        id: MessageId::new(),
        what: what.into(),
    }
}

/// Does as the work says, and counts how often it was asked.
#[derive(Clone, Default)]
struct Worker {
    asked: Arc<AtomicU32>,
    done: Arc<Mutex<Vec<String>>>,
    go_on: Arc<Notify>,
}

impl Worker {
    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    fn done(&self) -> Vec<String> {
        let mut done = self.done.lock().unwrap().clone();
        done.sort_unstable();
        done
    }
}

#[handler]
impl Handler<Work> for Worker {
    async fn handle(&self, work: &Work, cx: &Context) -> Result<(), BoxError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        assert_eq!(cx.get::<MessageHeader>().unwrap().topic, "Work");
        assert_eq!(cx.message_id(), Some(&work.id));
        match work.what.as_str() {
            "fail" => return Err("broken".into()),
            "fail twice" if cx.attempt() < 3 => return Err("not yet".into()),
            "panic" => panic!("lost its head"),
            "defer" if cx.attempt() == 1 => return Err(Defer::after(HOUR).into()),
            "defer always" => return Err(Defer::by_subscription().into()),
            "reject" => return Err(Reject::because("not for us").into()),
            "invalid" => return Err(Invalid::because("nonsense").into()),
            "don't ack" if self.asked() < 3 => return Err(DontAck::because("not now").into()),
            "until the end" => cx.cancelled().await,
            "wait" => self.go_on.notified().await,
            _ => {}
        }
        self.done.lock().unwrap().push(work.what.clone());
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

struct App {
    broker: FaultyBroker,
    worker: Worker,
    dispatcher: Dispatcher,
}

fn subscription() -> Subscription<Work> {
    Subscription::new("work").attempts(3).delays([SECOND, 2 * SECOND])
}

/// The beginning of a processor on this broker.
fn on(broker: impl Broker) -> CommandProcessorBuilder {
    CommandProcessor::builder()
        .broker(broker)
        .outbox(InMemoryOutbox::new())
}

/// A dispatcher that consumes, and its processor.
async fn consume<R: Postable>(
    processor: CommandProcessorBuilder,
    subscription: Subscription<R>,
) -> (Dispatcher, CommandProcessor) {
    let processor = processor.build().unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(subscription)
        .drain_timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    (dispatcher, processor)
}

/// An application with one subscription, consuming.
async fn app(subscription: Subscription<Work>) -> App {
    let (broker, worker) = (FaultyBroker::new(InMemoryBroker::new()), Worker::default());
    let (dispatcher, _) = consume(on(broker.clone()).handler(worker.clone()), subscription).await;
    App {
        broker,
        worker,
        dispatcher,
    }
}

impl App {
    async fn post(&self, what: &str) {
        self.dispatcher.processor().post(work(what)).await.unwrap();
    }

    fn in_channel(&self, channel: &str) -> Vec<Message> {
        self.broker.inner().messages(channel)
    }

    /// The reason of the one message in the channel, once there is one.
    async fn reason_in(&self, channel: &str) -> String {
        until("a message was set aside", || !self.in_channel(channel).is_empty()).await;
        let messages = self.in_channel(channel);
        assert_eq!(messages.len(), 1);
        messages[0]
            .header
            .bag
            .get("rejectionMessage")
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_dispatched_it_should_reach_a_handler() {
    let app = app(subscription()).await;
    app.post("one").await;
    until_eq("the work done", vec!["one".to_owned()], || app.worker.done()).await;
    app.dispatcher.end().await;
    assert!(app.in_channel("work").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unhandled_error_is_retried_then_dead_lettered() {
    let app = app(subscription()).await;
    let began = tokio::time::Instant::now();
    app.post("fail").await;
    assert_eq!(app.reason_in("work.dlq").await, "attempt 3 of 3: broken");
    assert_eq!(app.worker.asked(), 3, "attempts are deliveries");
    assert!(began.elapsed() >= 3 * SECOND);
    app.post("after").await;
    until_eq("the work done", vec!["after".to_owned()], || app.worker.done()).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_failing_twice_succeeds_the_third_time() {
    let app = app(subscription()).await;
    app.post("fail twice").await;
    until_eq("the work done", vec!["fail twice".to_owned()], || {
        app.worker.done()
    })
    .await;
    assert!(app.in_channel("work.dlq").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_retried_and_dead_lettered_with_text() {
    let app = app(subscription()).await;
    app.post("panic").await;
    assert_eq!(
        app.reason_in("work.dlq").await,
        "attempt 3 of 3: panicked: lost its head"
    );
    app.post("after").await;
    until_eq("the work done", vec!["after".to_owned()], || app.worker.done()).await;
}

#[tokio::test(start_paused = true)]
async fn a_deferred_message_is_requeued_with_its_delay() {
    let app = app(subscription()).await;
    let began = tokio::time::Instant::now();
    app.post("defer").await;
    // Far beyond the deadline of a condition, so the clock is moved by hand.
    until_eq("the handler asked", 1, || app.worker.asked()).await;
    tokio::time::sleep(HOUR).await;
    until_eq("the work done", vec!["defer".to_owned()], || app.worker.done()).await;
    assert!(began.elapsed() >= HOUR);
}

#[tokio::test(start_paused = true)]
async fn a_handler_defers_until_the_message_is_rejected() {
    let app = app(subscription()).await;
    app.post("defer always").await;
    assert_eq!(app.reason_in("work.dlq").await, "attempt 3 of 3: deferred");
    assert_eq!(app.worker.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_handler_rejects_at_once() {
    let app = app(subscription()).await;
    app.post("reject").await;
    assert_eq!(
        app.reason_in("work.dlq").await,
        "attempt 1 of 3: rejected: not for us"
    );
    assert_eq!(app.worker.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_calls_a_message_invalid() {
    let app = app(subscription()).await;
    app.post("invalid").await;
    assert_eq!(app.reason_in("work.invalid").await, "invalid: nonsense");
}

#[tokio::test(start_paused = true)]
async fn a_message_not_acked_comes_again_uncounted() {
    let app = app(subscription()).await;
    app.post("don't ack").await;
    until_eq("the work done", vec!["don't ack".to_owned()], || {
        app.worker.done()
    })
    .await;
    assert_eq!(app.worker.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_unmappable_message_is_rejected_unchanged_and_consuming_continues() {
    let app = app(subscription()).await;
    for body in [&b"not json at all"[..], br#"{"what": 3}"#, b"", b"\xff\xfe"] {
        let header = MessageHeader::new(MessageId::new(), "Work", MessageType::Command);
        let message = Message::new(header, MessageBody::new(body));
        app.broker.inner().publish(&message).await.unwrap();
        let reason = app.reason_in("work.invalid").await;
        assert!(!reason.is_empty());
        assert_eq!(app.in_channel("work.invalid")[0].body.as_bytes(), body);
        take_all(app.broker.inner(), "work.invalid").await;
    }
    app.post("after").await;
    until_eq("the work done", vec!["after".to_owned()], || app.worker.done()).await;
    assert_eq!(app.worker.asked(), 1, "nonsense never reaches a handler");
}

async fn take_all(broker: &InMemoryBroker, channel: &str) {
    let mut consumer = broker.consume(&Channel::existing(channel)).await.unwrap();
    while !broker.messages(channel).is_empty() {
        consumer.receive().await.unwrap().unwrap().ack().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_does_not_use_up_attempts() {
    #[derive(Clone, Default)]
    struct Downstream(Arc<AtomicU32>);
    #[handler]
    impl Handler<Work> for Downstream {
        #[use_policy(circuit_breaker, step = 1)]
        async fn handle(&self, _: &Work) -> Result<(), BoxError> {
            // Away for the first two calls.
            if self.0.fetch_add(1, Ordering::Relaxed) < 2 {
                Err("away".into())
            } else {
                Ok(())
            }
        }
    }
    let broker = InMemoryBroker::new();
    let downstream = Downstream::default();
    let policies =
        PolicyRegistry::default().insert("circuit_breaker", CircuitBreaker::consecutive(1, 100 * SECOND));
    let application = on(broker.clone()).handler(downstream.clone()).policies(policies);
    let (dispatcher, processor) = consume(
        application,
        Subscription::<Work>::new("work").attempts(3).delays([SECOND]),
    )
    .await;
    processor.post(work("x")).await.unwrap();
    // Called, called again by the probe, then a third time: in between the circuit was open for 100 s, through
    // which the message came again more often than it has attempts.
    tokio::time::sleep(300 * SECOND).await;
    until_eq("the calls", 3, || downstream.0.load(Ordering::Relaxed)).await;
    dispatcher.end().await;
    assert!(broker.messages("work.dlq").is_empty() && broker.messages("work").is_empty());
}

#[tokio::test(start_paused = true)]
async fn with_several_failed_handlers_a_retry_comes_first() {
    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(topic = "Happened", kind = "event")]
    struct Happened;
    struct Rejects;
    #[handler]
    impl Handler<Happened> for Rejects {
        async fn handle(&self, _: &Happened) -> Result<(), BoxError> {
            Err(Reject::because("no").into())
        }
    }
    #[derive(Clone, Default)]
    struct Second(Arc<AtomicU32>);
    #[handler]
    impl Handler<Happened> for Second {
        async fn handle(&self, _: &Happened) -> Result<(), BoxError> {
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                Err("not yet".into())
            } else {
                Ok(())
            }
        }
    }
    let (broker, second) = (InMemoryBroker::new(), Second::default());
    let application = on(broker.clone()).handler(Rejects).handler(second.clone());
    let (_dispatcher, processor) = consume(application, Subscription::<Happened>::new("h")).await;
    processor.post(Happened).await.unwrap();
    until_eq("the dead letter", 1, || broker.messages("h.dlq").len()).await;
    assert_eq!(
        second.0.load(Ordering::Relaxed),
        2,
        "the second handler had its retry"
    );
}

#[tokio::test]
async fn multiple_performers_share_the_work() {
    let app = app(subscription().performers(4).buffer(1)).await;
    let status = app.dispatcher.status();
    assert_eq!(status[0].performers, [PerformerState::Consuming; 4]);
    for _ in 0..4 {
        app.post("wait").await;
    }
    until_eq("the performers at work", 4, || app.worker.asked()).await;
    app.worker.go_on.notify_waiters();
    until_eq("the work done", 4, || app.worker.done().len()).await;
}

#[tokio::test]
async fn a_message_dispatcher_shuts_and_restarts_a_subscription() {
    let app = app(subscription()).await;
    app.dispatcher.stop("work").await.unwrap();
    assert!(app.dispatcher.status()[0].performers.is_empty());
    app.post("later").await;
    assert_eq!(app.in_channel("work").len(), 1);
    app.dispatcher.start("work").unwrap();
    until_eq("the work done", vec!["later".to_owned()], || app.worker.done()).await;
    let error = app.dispatcher.start("wrok").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown subscription `wrok`; the dispatcher has: work"
    );
}

#[tokio::test]
async fn ending_finishes_messages_in_flight_and_returns_the_rest() {
    let app = app(subscription().buffer(10)).await;
    for what in ["until the end", "next", "last"] {
        app.post(what).await;
    }
    until_eq("the handler asked", 1, || app.worker.asked()).await;
    let report = app.dispatcher.end().await;
    assert!(report.interrupted.is_empty(), "{report:?}");
    assert_eq!(app.worker.done(), ["until the end"]);
    assert_eq!(app.in_channel("work").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_exceeded_drain_returns_and_names_the_rest() {
    let app = app(subscription()).await;
    app.post("wait").await;
    until_eq("the handler asked", 1, || app.worker.asked()).await;
    let report = app.dispatcher.end().await;
    let [cut] = &report.interrupted[..] else {
        panic!("{report:?}")
    };
    assert_eq!(cut.subscription, "work");
    assert!(cut.since >= Duration::from_secs(5));
    let [message] = &app.in_channel("work")[..] else {
        panic!("given back")
    };
    assert_eq!(message.header.id, cut.id);
}

#[tokio::test]
async fn dispatcher_ends_immediately_after_receive_should_not_hang() {
    let app = app(subscription().performers(3)).await;
    app.dispatcher.end().await;
    app.dispatcher.receive();
    app.dispatcher.end().await;
    app.dispatcher.receive();
    app.dispatcher.wait_until_consuming().await;
    app.post("again").await;
    until_eq("the work done", 1, || app.worker.done().len()).await;
}

#[tokio::test]
async fn a_dropped_dispatcher_returns_messages_in_flight() {
    let app = app(subscription()).await;
    app.post("wait").await;
    until_eq("the handler asked", 1, || app.worker.asked()).await;
    drop(app.dispatcher);
    until_eq("the message back", 1, || {
        app.broker.inner().messages("work").len()
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_waited_for() {
    let (broker, worker) = (FaultyBroker::new(InMemoryBroker::new()), Worker::default());
    broker.lose_connection();
    let processor = on(broker.clone()).handler(worker.clone()).build().unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(subscription())
        .build()
        .unwrap();
    dispatcher.receive();
    until("it waits", || {
        dispatcher.status()[0].performers == [PerformerState::Waiting]
    })
    .await;
    broker.restore_connection();
    dispatcher.wait_until_consuming().await;
    processor.post(work("one")).await.unwrap();
    until_eq("the work done", 1, || worker.done().len()).await;
}

#[test]
fn build_finds_everything_that_is_wrong_with_subscriptions() {
    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(topic = "Orphan")]
    struct Orphan;
    let processor = CommandProcessor::builder()
        .handler(Worker::default())
        .build()
        .unwrap();
    let errors = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Work>::new("work"))
        .subscription(Subscription::<Orphan>::new("orphan"))
        .subscription(Subscription::<Work>::new("work"))
        .subscription(Subscription::<Work>::new("other").channel("work"))
        .subscription(Subscription::<Work>::new("deaf").routing_keys(Vec::<String>::new()))
        .subscription(Subscription::<Work>::new("x".repeat(300)))
        .build()
        .unwrap_err();
    let found: Vec<_> = errors.iter().collect();
    assert!(
        matches!(
            found[..],
            [
                BuildError::NoBrokerToConsume,
                BuildError::NoHandler { .. },
                BuildError::SameName { .. },
                BuildError::SameChannel { .. },
                BuildError::NoRoutingKey { .. },
                BuildError::Name { .. },
            ]
        ),
        "{errors}"
    );
    assert!(
        errors.to_string().starts_with("6 things are wrong:\n  - "),
        "{errors}"
    );
    let none = Dispatcher::builder(processor).build().unwrap_err();
    assert!(
        none.iter()
            .any(|error| matches!(error, BuildError::NoSubscription))
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_does_not_repeat_successful_handlers() {
    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(topic = "Happened", kind = "event")]
    struct Happened;
    #[derive(Clone, Default)]
    struct Healthy(Arc<AtomicU32>);
    #[handler]
    impl Handler<Happened> for Healthy {
        async fn handle(&self, _: &Happened) -> Result<(), BoxError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    #[derive(Clone, Default)]
    struct Downstream(Arc<AtomicU32>);
    #[handler]
    impl Handler<Happened> for Downstream {
        #[use_policy(circuit_breaker, step = 1)]
        async fn handle(&self, _: &Happened) -> Result<(), BoxError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    let (broker, healthy, downstream) = (InMemoryBroker::new(), Healthy::default(), Downstream::default());
    let breaker = CircuitBreaker::consecutive(1, SECOND);
    breaker.force_open();
    let application = on(broker.clone())
        .handler(healthy.clone())
        .handler(downstream.clone())
        .policies(PolicyRegistry::default().insert("circuit_breaker", breaker.clone()));
    let (dispatcher, processor) = consume(application, Subscription::<Happened>::new("h")).await;
    processor.post(Happened).await.unwrap();
    until_eq("the healthy handler asked", 1, || {
        healthy.0.load(Ordering::Relaxed)
    })
    .await;
    tokio::time::sleep(100 * SECOND).await;
    breaker.reset();
    until_eq("the other one asked", 1, || downstream.0.load(Ordering::Relaxed)).await;
    dispatcher.end().await;
    assert_eq!(healthy.0.load(Ordering::Relaxed), 1);
    assert!(broker.messages("h").is_empty() && broker.messages("h.dlq").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_end_leaves_nothing_running() {
    let app = app(subscription()).await;
    app.post("wait").await;
    until_eq("the handler asked", 1, || app.worker.asked()).await;
    assert!(tokio::time::timeout(SECOND, app.dispatcher.end()).await.is_err());
    until_eq("the message back", 1, || app.in_channel("work").len()).await;
    assert!(app.dispatcher.status()[0].performers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn stopping_one_subscription_names_only_what_it_had_in_hand() {
    let (broker, worker) = (InMemoryBroker::new(), Worker::default());
    let processor = on(broker.clone()).handler(worker.clone()).build().unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(subscription())
        .subscription(Subscription::<Work>::new("other"))
        .drain_timeout(SECOND)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    processor.post(work("wait")).await.unwrap();
    until_eq("both at work", 2, || worker.asked()).await;
    let report = dispatcher.stop("other").await.unwrap();
    let [cut] = &report.interrupted[..] else {
        panic!("{report:?}")
    };
    assert_eq!(cut.subscription, "other");
    worker.go_on.notify_waiters();
    until_eq("the other done", 1, || worker.done().len()).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_that_panics_in_display_is_a_failure() {
    #[derive(Debug)]
    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("words fail")
        }
    }
    impl std::error::Error for Unspeakable {}
    #[derive(Clone, Default)]
    struct Fails(Arc<AtomicU32>);
    #[handler]
    impl Handler<Work> for Fails {
        async fn handle(&self, _: &Work) -> Result<(), Unspeakable> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(Unspeakable)
        }
    }
    let (broker, fails) = (InMemoryBroker::new(), Fails::default());
    let application = on(broker.clone()).handler(fails.clone());
    let (_dispatcher, processor) = consume(application, subscription()).await;
    processor.post(work("x")).await.unwrap();
    until_eq("the dead letter", 1, || broker.messages("work.dlq").len()).await;
    assert_eq!(fails.0.load(Ordering::Relaxed), 3);
}
