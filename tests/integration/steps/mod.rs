//! The steps that are no policies: what each does, and which comes first.

mod order;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::error::{ActionKind, PumpAction};
use brighter::layer::{FeatureSwitchMap, MonitorEvent, MonitorEventKind, MonitorSink};
use brighter::pipeline::WiringError;
use brighter::prelude::*;
use brighter::processor::{BuildError, SendError};
use brighter_tests::wait::until;
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower::util::MapRequestLayer;

/// Fails `fails` times with what `with` makes, and then gives 7.
#[derive(Command)]
#[command(reply = u32)]
struct Try {
    fails: u32,
    with: fn() -> BoxError,
}

fn plain() -> BoxError {
    "not yet".into()
}

fn times(fails: u32) -> Try {
    Try { fails, with: plain }
}

impl Validate for Try {
    type Error = String;

    fn validate(&self) -> Result<(), String> {
        if self.fails > 100 {
            Err(format!("{} is too often", self.fails))
        } else {
            Ok(())
        }
    }
}

/// Counts how often it was called.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicU32>);

impl Calls {
    fn attempt(&self, request: &Try) -> Result<u32, BoxError> {
        let calls = self.0.fetch_add(1, Ordering::Relaxed);
        if calls < request.fails {
            Err((request.with)())
        } else {
            Ok(7)
        }
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! handler_with {
    ($name:ident, $($step:meta),+) => {
        #[derive(Clone, Default)]
        struct $name(Calls);
        #[handler]
        impl Handler<Try> for $name {
            $(#[$step])+
            async fn handle(&self, request: &Try) -> Result<u32, BoxError> {
                self.0.attempt(request)
            }
        }
    };
}

const SECOND: Duration = Duration::from_secs(1);

fn policies() -> PolicyRegistry {
    PolicyRegistry::default()
        .insert("retry", Retry::attempts(3).fixed(SECOND))
        .insert("circuit_breaker", CircuitBreaker::consecutive(1, 10 * SECOND))
}

fn handler_error(error: SendError) -> HandlerError {
    match error {
        SendError::Handler(error) => error,
        other => panic!("{other}"),
    }
}

fn kind(error: &HandlerError) -> Option<ActionKind> {
    error.action().map(PumpAction::kind)
}

handler_with!(Rejected, reject_on_error(step = 1), use_policy(retry, step = 2));
handler_with!(Deferred, defer_on_error("30s", step = 1));
handler_with!(DeferredBySubscription, defer_on_error(step = 1));
handler_with!(NotAcked, dont_ack_on_error(step = 1), validate(step = 2));

#[tokio::test(start_paused = true)]
async fn a_backstop_sees_what_the_policies_inside_it_gave_up_on() {
    let handler = Rejected::default();
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .policies(policies())
        .build()
        .unwrap();
    let error = handler_error(processor.send(times(9)).await.unwrap_err());
    assert_eq!((kind(&error), handler.0.count()), (Some(ActionKind::Reject), 3));
    assert_eq!(error.report(), "rejected: not yet");
    assert_eq!(processor.send(times(0)).await.unwrap(), 7);
}

#[tokio::test]
async fn each_backstop_asks_for_its_own() {
    async fn asked<H: brighter::pipeline::HandlerPipeline<Try>>(
        handler: H,
        request: Try,
    ) -> Option<ActionKind> {
        let processor = CommandProcessor::builder().handler(handler).build().unwrap();
        kind(&handler_error(processor.send(request).await.unwrap_err()))
    }
    assert_eq!(
        asked(Deferred::default(), times(1)).await,
        Some(ActionKind::Defer(Some(30 * SECOND)))
    );
    assert_eq!(
        asked(DeferredBySubscription::default(), times(1)).await,
        Some(ActionKind::Defer(None))
    );
    assert_eq!(
        asked(NotAcked::default(), times(1)).await,
        Some(ActionKind::DontAck)
    );
    assert_eq!(
        asked(NotAcked::default(), times(101)).await,
        Some(ActionKind::DontAck),
        "invalid too"
    );
    let invalid = || Try {
        fails: 1,
        with: || Invalid::because("no").into(),
    };
    assert_eq!(
        asked(NotAcked::default(), invalid()).await,
        Some(ActionKind::Invalid),
        "as the handler asked"
    );
}

handler_with!(
    Validated,
    use_policy([circuit_breaker, retry], step = 1),
    validate(step = 2)
);

#[tokio::test(start_paused = true)]
async fn what_is_not_valid_is_not_handled_nor_tried_again_and_breaks_no_circuit() {
    let handler = Validated::default();
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .policies(policies())
        .build()
        .unwrap();
    for _ in 0..3 {
        let error = handler_error(processor.send(times(101)).await.unwrap_err());
        assert!(matches!(error, HandlerError::Validation(_)), "{error}");
        assert_eq!(error.report(), "the request is not valid: 101 is too often");
    }
    assert_eq!(handler.0.count(), 0);
    assert_eq!(processor.send(times(0)).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_valid_is_dead_lettered_at_once() {
    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(topic = "Parcel")]
    struct Parcel {
        weight: i32,
    }
    impl Validate for Parcel {
        type Error = &'static str;
        fn validate(&self) -> Result<(), &'static str> {
            if self.weight < 0 {
                Err("it would float away")
            } else {
                Ok(())
            }
        }
    }
    struct Carrier;
    #[handler]
    impl Handler<Parcel> for Carrier {
        #[validate(step = 1)]
        async fn handle(&self, _: &Parcel) -> Result<(), BoxError> {
            panic!("was not to be called");
        }
    }
    let broker = InMemoryBroker::new();
    let processor = CommandProcessor::builder()
        .handler(Carrier)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Parcel>::new("parcels").attempts(5))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.consuming().await;
    processor.post(Parcel { weight: -1 }).await.unwrap();
    until("the message is dead", || {
        !broker.messages("parcels.dlq").is_empty()
    })
    .await;
    let dead = broker.messages("parcels.dlq");
    let reason = dead[0].header.bag.get("rejectionMessage").unwrap();
    assert_eq!(
        reason.as_str(),
        Some("attempt 1 of 5: the request is not valid: it would float away")
    );
    dispatcher.end().await;
}

macro_rules! handler_with_fallback {
    ($name:ident, $($step:meta),+) => {
        handler_with!($name, $($step),+);
        impl $name {
            async fn later(&self, request: &Try, error: &HandlerError) -> Result<u32, BoxError> {
                match request.fails {
                    50.. => Err(format!("no, because {}", error.report()).into()),
                    _ => Ok(1),
                }
            }
        }
    };
}

handler_with_fallback!(FallsBack, fallback(later, step = 1), use_policy(retry, step = 2));
handler_with_fallback!(
    FallsBackOnBroken,
    fallback(later, on = broken_circuit, step = 1),
    use_policy(circuit_breaker, step = 2)
);

#[tokio::test(start_paused = true)]
async fn a_fallback_is_the_outcome_of_what_failed() {
    let handler = FallsBack::default();
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .policies(policies())
        .build()
        .unwrap();
    assert_eq!(processor.send(times(40)).await.unwrap(), 1);
    assert_eq!(handler.0.count(), 3, "after the last attempt");
    let error = processor.send(times(50)).await.unwrap_err();
    assert_eq!(error.to_string(), "no, because not yet");
    assert_eq!(
        processor.send(times(0)).await.unwrap(),
        7,
        "not called after a success"
    );
}

#[tokio::test]
async fn a_fallback_sees_no_pump_action() {
    let processor = CommandProcessor::builder()
        .handler(FallsBack::default())
        .build()
        .unwrap();
    let error = processor
        .send(Try {
            fails: 1,
            with: || Reject::because("no").into(),
        })
        .await
        .unwrap_err();
    assert_eq!(kind(&handler_error(error)), Some(ActionKind::Reject));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_on_a_broken_circuit_is_for_nothing_else() {
    let handler = FallsBackOnBroken::default();
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .policies(policies())
        .build()
        .unwrap();
    assert_eq!(
        processor.send(times(40)).await.unwrap_err().to_string(),
        "not yet"
    );
    assert_eq!(processor.send(times(40)).await.unwrap(), 1);
    assert_eq!(handler.0.count(), 1, "the circuit was open");
}

handler_with!(Skipped, feature_switch(new_prices, step = 1));
handler_with!(Postponed, feature_switch("new-prices", off = dont_ack, step = 1));

#[tokio::test]
async fn a_switch_decides_at_each_call() {
    let switches = FeatureSwitchMap::new();
    let handler = Skipped::default();
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .feature_switches(switches.clone())
        .build()
        .unwrap();
    assert_eq!(
        processor.send(times(0)).await.unwrap(),
        7,
        "nobody knows it, so it is on"
    );
    switches.set("new_prices", false);
    assert_eq!(processor.send(times(0)).await.unwrap(), 0, "the default");
    assert_eq!(handler.0.count(), 1);
    switches.set("new_prices", true);
    assert_eq!(processor.send(times(0)).await.unwrap(), 7);

    switches.set("new-prices", false);
    let processor = CommandProcessor::builder()
        .handler(Postponed::default())
        .feature_switches(switches.clone())
        .build()
        .unwrap();
    let error = handler_error(processor.send(times(0)).await.unwrap_err());
    assert_eq!(kind(&error), Some(ActionKind::DontAck));
    assert!(error.to_string().contains("`new-prices` is off"), "{error}");
}

handler_with!(Watched, monitor(step = 1), timeout("5s", step = 2));

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<MonitorEvent>>>);

impl MonitorSink for Sink {
    fn record(&self, event: &MonitorEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[tokio::test]
async fn a_monitor_tells_what_goes_in_and_what_comes_out() {
    let sink = Sink::default();
    let processor = CommandProcessor::builder()
        .handler(Watched::default())
        .monitor(sink.clone())
        .build()
        .unwrap();
    let id = MessageId::new();
    let cx = Context::new().with_message_id(id.clone()).with_handled_count(2);
    processor.send_with(times(1), cx).await.unwrap_err();
    processor.send(times(0)).await.unwrap();

    let events = std::mem::take(&mut *sink.0.lock().unwrap());
    let [enter, failure, enter_again, exit] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert!(
        enter.handler.ends_with("::Watched") && enter.request.ends_with("::Try"),
        "{enter:?}"
    );
    assert_eq!(
        (&enter.message_id, enter.attempt, &enter.kind),
        (&Some(id), 3, &MonitorEventKind::Enter)
    );
    assert!(
        matches!(&failure.kind, MonitorEventKind::Failure { error, .. } if error == "not yet"),
        "{failure:?}"
    );
    assert_eq!((&enter_again.message_id, enter_again.attempt), (&None, 1));
    assert!(matches!(exit.kind, MonitorEventKind::Exit { .. }), "{exit:?}");

    let unfinished = processor.send(times(0));
    drop(unfinished);
    assert!(sink.0.lock().unwrap().is_empty(), "it never went in");
}

#[tokio::test(start_paused = true)]
async fn a_monitor_tells_what_nobody_waits_for() {
    struct Slow;
    #[handler]
    impl Handler<Try> for Slow {
        #[timeout("1s", step = 1)]
        #[monitor(step = 2)]
        async fn handle(&self, _: &Try) -> Result<u32, BoxError> {
            std::future::pending().await
        }
    }
    let sink = Sink::default();
    let processor = CommandProcessor::builder()
        .handler(Slow)
        .monitor(sink.clone())
        .build()
        .unwrap();
    processor.send(times(0)).await.unwrap_err();
    let kinds: Vec<_> = sink
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|event| event.kind.clone())
        .collect();
    assert!(
        matches!(
            kinds[..],
            [MonitorEventKind::Enter, MonitorEventKind::Abandoned { .. }]
        ),
        "{kinds:?}"
    );
}

#[test]
fn what_a_step_needs_and_was_not_given_fails_build() {
    let built = CommandProcessor::builder()
        .handler(Skipped::default())
        .handler(Watched::default())
        .build();
    let errors = built.unwrap_err();
    let found: Vec<_> = errors.iter().collect();
    assert!(
        found.iter().any(|error| matches!(
            error,
            BuildError::Wiring(WiringError::NoFeatureSwitches {
                switch: "new_prices",
                step: 1,
                ..
            })
        )),
        "{errors}"
    );
    assert!(
        found.iter().any(|error| matches!(
            error,
            BuildError::Wiring(WiringError::NoMonitorSink { step: 1, .. })
        )),
        "{errors}"
    );
    let text = errors.to_string();
    assert!(
        text.contains("add `.feature_switches(…)`") && text.contains("add `.monitor(…)`"),
        "{text}"
    );
}

// Tower's own layers, and what passes through them.
handler_with!(
    InTowers,
    use_policy(retry, step = 1),
    layer(ConcurrencyLimitLayer::new(1), step = 2),
    layer(TimeoutLayer::new(SECOND), step = 3),
    layer(
        MapRequestLayer::new(|call: brighter::handler::Call<Try>| call),
        step = 4
    ),
    use_policy(circuit_breaker, step = 5)
);

#[tokio::test(start_paused = true)]
async fn any_tower_layer_is_a_step_and_errors_from_inside_it_stay_what_they_are() {
    let handler = InTowers::default();
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .policies(policies())
        .build()
        .unwrap();
    let (one, other) = tokio::join!(processor.send(times(0)), processor.send(times(0)));
    assert_eq!((one.unwrap(), other.unwrap()), (7, 7));

    // The failure opens the circuit; the open circuit comes through the tower's box, and is not tried again.
    let error = handler_error(processor.send(times(99)).await.unwrap_err());
    assert!(matches!(error, HandlerError::BrokenCircuit { .. }), "{error}");
    assert_eq!(handler.0.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_tower_layer_is_a_failure_like_any_other() {
    struct Slow;
    #[handler]
    impl Handler<Try> for Slow {
        #[layer(TimeoutLayer::new(SECOND), step = 1)]
        async fn handle(&self, _: &Try) -> Result<u32, BoxError> {
            std::future::pending().await
        }
    }
    let processor = CommandProcessor::builder().handler(Slow).build().unwrap();
    let error = processor.send(times(0)).await.unwrap_err();
    assert!(
        error.downcast_ref::<tower::timeout::error::Elapsed>().is_some(),
        "{error}"
    );
}

fn four_at_a_time() -> ConcurrencyLimitLayer {
    ConcurrencyLimitLayer::new(4)
}

handler_with!(
    Everything,
    monitor(step = 1),
    defer_on_error("30s", step = 2),
    feature_switch(new_prices, step = 3),
    validate(step = 4),
    layer(four_at_a_time(), step = 5),
    timeout("5s", step = 6),
    request_logging(step = 1, timing = after)
);

#[test]
fn a_pipeline_describes_itself_as_text_and_as_json() {
    let processor = CommandProcessor::builder()
        .handler(Everything::default())
        .feature_switches(FeatureSwitchMap::new())
        .monitor(Sink::default())
        .build()
        .unwrap();
    let description = processor.describe().next().unwrap();
    let text = description.to_string();
    let steps: Vec<_> = text.lines().skip(1).map(str::trim).collect();
    assert_eq!(
        steps,
        [
            "1 before monitor",
            "2 before defer_on_error 30s",
            "3 before feature_switch new_prices, off: skip",
            "4 before validate",
            "5 before layer four_at_a_time()",
            "6 before timeout 5s",
            "1 after request_logging",
        ]
    );
    let json = serde_json::to_value(description).unwrap();
    assert_eq!(json["kind"], "command");
    assert_eq!(
        json["steps"][1],
        serde_json::json!({ "number": 2, "timing": "before", "attribute": "defer_on_error", "detail": "30s" })
    );
}
