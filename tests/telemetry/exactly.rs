//! What is counted, to the last one. Each test has a recorder of its own, which hears the thread of the test.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brighter::Sweeper;
use brighter::policy::CircuitBreaker;
use brighter::prelude::*;
use brighter::telemetry::METRICS;
use brighter_tests::promtool;
use brighter_tests::wait::{until, until_eq};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use tokio::sync::Semaphore;

use crate::metrics::name;

fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets(&[0.001, 1.0])
        .unwrap()
        .build_recorder()
}

/// Every series of this metric: its labels, and its value; of a histogram, how many it was told.
fn series(recorder: &PrometheusRecorder, metric: &str) -> Vec<(String, f64)> {
    let metric = METRICS.iter().find(|known| known.name == metric).unwrap();
    let (plain, count) = (name(metric), format!("{}_count", name(metric)));
    let text = recorder.handle().render();
    let lines = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let is_it = name == plain || name == count;
        is_it.then(|| (labels.trim_end_matches('}').to_owned(), value.parse().unwrap()))
    });
    let mut series: Vec<_> = lines.collect();
    series.sort_by(|one, other| one.0.cmp(&other.0));
    series
}

/// The value of the series that has this text in its labels.
fn value(recorder: &PrometheusRecorder, metric: &str, label: &str) -> Option<f64> {
    let series = series(recorder, metric);
    let found = series.iter().find(|(labels, _)| labels.contains(label));
    found.map(|(_, value)| *value)
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Counted", kind = "event")]
struct Counted {
    fails: bool,
}

struct Counts;

#[handler]
impl Handler<Counted> for Counts {
    async fn handle(&self, counted: &Counted) -> Result<(), BoxError> {
        match counted.fails {
            true => Err("it fails".into()),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn each_message_is_counted_once_and_its_durations_too() {
    let recorder = recorder();
    let _heard = metrics::set_default_local_recorder(&recorder);
    let processor = CommandProcessor::builder()
        .handler(Counts)
        .broker(InMemoryBroker::new())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Counted>::new("counted").delays([Duration::ZERO]))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    for fails in [false, true, false, false] {
        processor.post(Counted { fails }).await.unwrap();
    }
    until("all is decided", || {
        value(&recorder, "brighter.handled.messages", "") == Some(3.0)
            && value(&recorder, "brighter.dead_lettered.messages", "") == Some(1.0)
    })
    .await;
    dispatcher.end().await;
    processor.close().await;

    let is = |metric: &str, expected: &[(&str, f64)]| {
        let series = series(&recorder, metric);
        assert_eq!(series.len(), expected.len(), "{metric}: {series:?}");
        for ((labels, value), (label, count)) in series.iter().zip(expected) {
            assert!(labels.contains(label), "{metric}: {labels}");
            assert!(
                (value - count).abs() < f64::EPSILON,
                "{metric}{{{labels}}}: {value}"
            );
        }
    };
    // One comes five times, which is how often a subscription tries unless told otherwise.
    let by_error = [("error_type=\"\"", 3.0), ("error_type=\"failed\"", 5.0)];
    is("messaging.client.sent.messages", &[("\"Counted\"", 4.0)]);
    is("messaging.client.operation.duration", &[("\"Counted\"", 4.0)]);
    is("messaging.process.duration", &by_error);
    is("brighter.handler.duration", &by_error);
    is("brighter.process.lag", &[("\"counted\"", 8.0)]);
    is("brighter.handled.messages", &[("\"counted\"", 3.0)]);
    is("brighter.failed.messages", &[("error_type=\"failed\"", 5.0)]);
    is("brighter.retried.messages", &[("\"counted\"", 4.0)]);
    is("brighter.dead_lettered.messages", &[("\"counted\"", 1.0)]);
    is("brighter.in_flight.messages", &[("\"counted\"", 0.0)]);
    is("brighter.active.consumers", &[("\"counted\"", 0.0)]);
    promtool::accepts(&recorder.handle().render());
}

#[tokio::test]
async fn the_oldest_outbox_message_has_an_age_until_dead() {
    let recorder = recorder();
    let _heard = metrics::set_default_local_recorder(&recorder);
    let processor = |sweeper: Sweeper| {
        CommandProcessor::builder()
            .broker(InMemoryBroker::new())
            .outbox(InMemoryOutbox::new())
            .sweeper(sweeper.interval(Duration::from_millis(10)))
            .build()
            .unwrap()
    };
    let of = |metric: &str| value(&recorder, &format!("brighter.outbox.{metric}"), "");
    let began = Instant::now();
    let keeps = processor(Sweeper::default());
    // Nobody listens, so no broker takes it.
    keeps.post(Counted { fails: false }).await.unwrap_err();
    until("it has an age", || of("oldest.age").is_some_and(|age| age > 0.0)).await;
    assert!(of("oldest.age").unwrap() <= began.elapsed().as_secs_f64());
    assert_eq!(
        (of("outstanding.messages"), of("dead.messages")),
        (Some(1.0), Some(0.0))
    );
    keeps.close().await;

    let gives_up = processor(Sweeper::default().attempts(1));
    gives_up.post(Counted { fails: false }).await.unwrap_err();
    until_eq("dead messages", Some(1.0), || of("dead.messages")).await;
    assert_eq!(
        (of("outstanding.messages"), of("oldest.age")),
        (Some(0.0), Some(0.0))
    );
    gives_up.close().await;
}

/// Does not end before it may; then as it is told.
struct Waits(Arc<Semaphore>);

#[handler]
impl Handler<Counted> for Waits {
    #[use_policy(watched, step = 1)]
    async fn handle(&self, counted: &Counted, cx: &Context) -> Result<(), BoxError> {
        self.0.acquire().await?.forget();
        Counts.handle(counted, cx).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_shows_every_state_also_where_it_is_forced() {
    let recorder = recorder();
    let _heard = metrics::set_default_local_recorder(&recorder);
    let breaker = CircuitBreaker::consecutive(1, Duration::from_secs(5));
    let may_end = Arc::new(Semaphore::new(0));
    let processor = CommandProcessor::builder()
        .handler(Waits(may_end.clone()))
        .policies(PolicyRegistry::default().insert("watched", breaker.clone()))
        .build()
        .unwrap();
    let state = || value(&recorder, "brighter.circuit_breaker.state", "watched");
    assert_eq!(state(), Some(0.0), "it is closed before anybody has called");

    may_end.add_permits(1);
    processor.publish(Counted { fails: true }).await.unwrap_err();
    assert_eq!(state(), Some(2.0));
    tokio::time::advance(Duration::from_secs(5)).await;
    let probe = tokio::spawn({
        let processor = processor.clone();
        async move { processor.publish(Counted { fails: false }).await }
    });
    until_eq("half open", Some(1.0), state).await;
    may_end.add_permits(1);
    probe.await.unwrap().unwrap();
    assert_eq!(state(), Some(0.0));

    breaker.force_open();
    assert_eq!(state(), Some(2.0));
    breaker.force_closed();
    assert_eq!(state(), Some(0.0));
    breaker.force_open();
    breaker.reset();
    assert_eq!(state(), Some(0.0));
}
