//! What `build()` refuses: settings with values that they cannot have, and what was given twice.

use std::time::Duration;

use brighter::channel::{ChannelError, Delivery, MalformedMessage, Rejection, Settle, SettleError};
use brighter::host::HostError;
use brighter::layer::{FeatureSwitchMap, MonitorEvent, MonitorSink};
use brighter::message::Message as BrighterMessage;
use brighter::policy::{RetryBudget, SlidingWindow};
use brighter::prelude::*;
use brighter::processor::PostError;
use brighter::processor::{BuildError, HealthOptions};
use brighter::transport::sqlite::{SqliteBrokerError, SqliteBrokerOptions};
use futures_util::future::BoxFuture;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Building.Order")]
struct Order;

struct TakesOrders;

#[handler]
impl Handler<Order> for TakesOrders {
    #[use_policy(Retry::attempts(0), step = 1)]
    async fn handle(&self, _: &Order) -> Result<(), BoxError> {
        Ok(())
    }
}

struct Plain;

#[handler]
impl Handler<Order> for Plain {
    async fn handle(&self, _: &Order) -> Result<(), BoxError> {
        Ok(())
    }
}

struct Silent;

impl MonitorSink for Silent {
    fn record(&self, _: &MonitorEvent) {}
}

const SECOND: Duration = Duration::from_secs(1);

/// Each error on a line of its own, as a person sees it.
fn lines(errors: &BuildErrors) -> Vec<String> {
    // A macro has spaces in what it was given.
    let line = |error: &BuildError| format!("{error:?}").replace(" :: ", "::");
    errors.iter().map(line).collect()
}

#[tokio::test]
async fn every_setting_that_cannot_be_is_refused_at_once() {
    let budget = RetryBudget::new(-1.0, 1).window(Duration::from_secs(90));
    let calls = SlidingWindow::Calls(0);
    let policies = PolicyRegistry::empty()
        .insert("a", Retry::attempts(0).jitter(1.5).budget(budget))
        .insert(
            "b",
            CircuitBreaker::consecutive(0, SECOND)
                .probes(0)
                .closes_after(0)
                .jitter(f64::NAN),
        )
        .insert("c", CircuitBreaker::failure_rate(0.0, calls, SECOND))
        .insert("d", ConcurrencyLimit::at_most(0))
        .insert("e", RateLimit::new(0, SECOND));
    let errors = CommandProcessor::builder()
        .handler(TakesOrders)
        .policies(policies)
        .broker(InMemoryBroker::new())
        .outbox(InMemoryOutbox::new())
        .sweeper(
            Sweeper::default()
                .attempts(0)
                .batch(0)
                .pause_topic_after(0, SECOND),
        )
        .archiver(Archiver::delete_after(SECOND).batch(0))
        .build()
        .unwrap_err();
    assert_eq!(
        lines(&errors),
        [
            "invalid setting of the policy `a`: `attempts` is 0; it must be at least 1",
            "invalid setting of the policy `a`: `jitter` is 1.5; it must be between 0 and 1",
            "invalid setting of the policy `a`: `budget` is -1; it must be between 0 and 1000",
            "invalid setting of the policy `a`: `window` is 90s; it must be between 1s and 60s",
            "invalid setting of the policy `b`: `consecutive` is 0; it must be at least 1",
            "invalid setting of the policy `b`: `probes` is 0; it must be at least 1",
            "invalid setting of the policy `b`: `closes_after` is 0; it must be at least 1",
            "invalid setting of the policy `b`: `jitter` is NaN; it must be between 0 and 1",
            "invalid setting of the policy `c`: `failure_rate` is 0; it must be between 0.000001 and 1",
            "invalid setting of the policy `c`: `window` is 0; it must be at least 1",
            "invalid setting of the policy `d`: `at_most` is 0; it must be between 1 and usize::MAX / 8",
            "invalid setting of the policy `e`: `calls` is 0; it must be at least 1",
            "invalid setting of the sweeper: `attempts` is 0; it must be at least 1",
            "invalid setting of the sweeper: `batch` is 0; it must be at least 1",
            "invalid setting of the sweeper: `pause_topic_after` is 0; it must be at least 1",
            "invalid setting of the archiver: `batch` is 0; it must be at least 1",
            "`integration::building::TakesOrders` has a policy with an invalid setting at step 1: \
             `Retry::attempts(0)`: `attempts` is 0; it must be at least 1",
        ]
    );
}

#[tokio::test]
async fn a_subscription_that_cannot_be_is_refused() {
    let processor = CommandProcessor::builder()
        .handler(Plain)
        .broker(InMemoryBroker::new())
        .build()
        .unwrap();
    let none = Subscription::<Order>::new("none")
        .performers(0)
        .concurrency(0)
        .rate(Rate::per_second(0))
        .buffer(0)
        .attempts(0);
    let odd = Subscription::<Order>::new("odd")
        .performers(std::ops::RangeInclusive::new(3, 2))
        .concurrency(65_536)
        .buffer(0)
        .buffer(7);
    let errors = Dispatcher::builder(processor)
        .subscription(none)
        .subscription(odd)
        .build()
        .unwrap_err();
    assert_eq!(
        lines(&errors),
        [
            "invalid setting of the subscription `none`: `performers` is 0; it must be at least 1",
            "invalid setting of the subscription `none`: `concurrency` is 0; it must be between 1 and 65535",
            "invalid setting of the subscription `none`: `rate` is 0; it must be at least 1",
            "invalid setting of the subscription `none`: `buffer` is 0; it must be at least 1",
            "invalid setting of the subscription `none`: `attempts` is 0; it must be at least 1",
            "invalid setting of the subscription `odd`: `performers` is 3 to 2; it must be a range that begins with the smaller number",
            "invalid setting of the subscription `odd`: `concurrency` is 65536; it must be between 1 and 65535",
        ]
    );
}

#[tokio::test]
async fn a_processor_refuses_settings_given_twice() {
    let mut builder = CommandProcessor::builder();
    for _ in 0..3 {
        builder = builder
            .policies(PolicyRegistry::default())
            .feature_switches(FeatureSwitchMap::new())
            .monitor(Silent)
            .broker(InMemoryBroker::new())
            .outbox(InMemoryOutbox::new())
            .inbox(InMemoryInbox::new())
            .sweeper(Sweeper::default())
            .archiver(Archiver::delete_after(SECOND))
            .health(HealthOptions::default())
            .span_body_limit(1)
            .max_pending_calls(1)
            .configure(&brighter::config::loader().load().unwrap());
    }
    let errors = builder.build().unwrap_err();
    let methods = [
        "policies",
        "feature_switches",
        "monitor",
        "broker",
        "outbox",
        "inbox",
        "sweeper",
        "archiver",
        "health",
        "span_body_limit",
        "max_pending_calls",
        "configure",
    ];
    let twice = methods.map(|method| format!("`.{method}(…)` was called twice: keep one of the two"));
    assert_eq!(lines(&errors), twice);
}

#[tokio::test]
async fn a_dispatcher_refuses_settings_given_twice() {
    let processor = CommandProcessor::builder()
        .handler(Plain)
        .broker(InMemoryBroker::new())
        .build()
        .unwrap();
    let errors = Dispatcher::builder(processor)
        .subscription(Subscription::<Order>::new("orders"))
        .drain_timeout(SECOND)
        .drain_timeout(SECOND)
        .build()
        .unwrap_err();
    assert_eq!(
        lines(&errors),
        ["`.drain_timeout(…)` was called twice: keep one of the two"]
    );
}

#[test]
fn a_heartbeat_that_rabbitmq_cannot_have_is_refused() {
    for heartbeat in [Duration::ZERO, 65_536 * SECOND] {
        let builder = RabbitMq::builder("amqp://localhost").heartbeat_interval(heartbeat);
        assert_eq!(
            format!("{:?}", builder.connect_lazily().unwrap_err()),
            format!(
                "invalid setting of the broker: `heartbeat_interval` is {heartbeat:?}; it must be between 1s and 65535s"
            )
        );
    }
}

#[tokio::test]
async fn options_that_a_file_cannot_have_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    let plain = SqliteBrokerOptions::default;
    let short = plain().lease(Duration::from_millis(99));
    for (options, said) in [
        (short, "`lease` is 99ms; it must be at least 100ms"),
        (
            plain().size_limit(4095),
            "`size_limit` is 4095; it must be at least 4096 bytes",
        ),
    ] {
        let refused = SqliteBroker::open(&path).options(options).await.unwrap_err();
        assert!(matches!(refused, SqliteBrokerError::Setting(_)));
        assert_eq!(
            format!("{refused:?}"),
            format!("invalid setting of the broker: {said}")
        );
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn delays_of_months_are_accepted_and_impossible_ones_refused() {
    let built = |delay| {
        let processor = CommandProcessor::builder()
            .handler(Plain)
            .broker(RabbitMq::builder("amqp://localhost:1").connect_lazily().unwrap())
            .build()
            .unwrap();
        Dispatcher::builder(processor)
            .subscription(Subscription::<Order>::new("orders").delays([delay]))
            .build()
    };
    let day = Duration::from_secs(24 * 60 * 60);
    // It waits in parts, longer than the broker keeps it in one go.
    assert!(built(60 * day).is_ok());
    let refused = lines(&built(40_000 * day).unwrap_err());
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].starts_with(
            "the settings of the subscription `orders` do not fit together: a delay of 3456000000s is longer than "
        ),
        "{refused:?}"
    );
}

/// What `main` prints for an error that it returns.
fn shown(error: impl Into<BoxError>) -> String {
    format!("{:?}", error.into())
}

#[test]
fn an_error_that_main_returns_shows_its_causes() {
    let refused = std::io::Error::other("connection refused");
    let lost = ChannelError::Disconnected(refused.into());
    let said = lost.to_string();
    assert_eq!(shown(lost), format!("{said}: connection refused"));
    let signals = HostError::Signals(std::io::Error::other("not here"));
    assert!(shown(signals).ends_with(": not here"));
    let post = PostError::NoBroker;
    let said = post.to_string();
    assert_eq!(shown(post), said);
}

struct Nowhere;

impl Settle for Nowhere {
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        Box::pin(async { Ok(()) })
    }

    fn requeue(
        self: Box<Self>,
        _: BrighterMessage,
        _: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        Box::pin(async { Ok(()) })
    }

    fn reject(self: Box<Self>, _: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
        Box::pin(async { Ok(()) })
    }

    fn release(self: Box<Self>) {}
}

#[test]
fn a_malformed_delivery_is_an_error_for_the_question_mark() {
    fn topic_of(delivery: &Delivery) -> Result<String, BoxError> {
        Ok(delivery.message()?.header.topic.to_string())
    }
    let error = topic_of(&Delivery::malformed("no id", Box::new(Nowhere))).unwrap_err();
    assert!(error.is::<MalformedMessage>());
    assert_eq!(
        format!("{error:?}"),
        "malformed message: no id; reject it as invalid"
    );
}
