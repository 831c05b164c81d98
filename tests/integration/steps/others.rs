//! Switches, monitors, any layer of tower, and how a pipeline describes itself.

use std::sync::{Arc, Mutex};

use brighter::error::ActionKind;
use brighter::layer::{FeatureSwitchMap, MonitorEvent, MonitorEventKind, MonitorSink};
use brighter::pipeline::WiringError;
use brighter::prelude::*;
use brighter::processor::BuildError;
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower::util::MapRequestLayer;

use super::{Calls, SECOND, Try, handler_error, handler_with, kind, policies, times};

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
    let cx = processor
        .context()
        .with_message_id(id.clone())
        .with_handled_count(2);
    cx.send(times(1)).await.unwrap_err();
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
fn missing_requirements_of_a_step_fail_build() {
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
async fn a_tower_layer_as_step_keeps_inner_errors() {
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
async fn an_error_of_a_tower_layer_is_a_failure() {
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
