//! Handles on the metrics, asked of the recorder once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use metrics::{Label, Unit};

use super::table::{self, Metric, MetricKind};
use crate::subscription::SubscriptionSettings;
use brighter_core::message::{MessageHeader, RoutingKey};
use brighter_core::outbox::OutboxStatus;

/// So many topics are told apart: an outbox may hold what other versions of the application have posted.
const MOST_TOPICS: usize = 200;
/// In place of the topics beyond.
const OTHER: &str = "_OTHER";

fn labels<const N: usize>(metric: &Metric, values: [&str; N]) -> Vec<Label> {
    let names = metric.labels.iter().copied();
    names
        .zip(values)
        .map(|(name, value)| Label::new(name, value.to_owned()))
        .collect()
}

fn describe(metric: &Metric) {
    let unit = if metric.unit == "s" {
        Unit::Seconds
    } else {
        Unit::Count
    };
    match metric.kind {
        MetricKind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
        MetricKind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
        MetricKind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.help),
    }
}

fn counter<const N: usize>(metric: &Metric, values: [&str; N]) -> metrics::Counter {
    describe(metric);
    metrics::counter!(metric.name, labels(metric, values))
}

fn gauge<const N: usize>(metric: &Metric, values: [&str; N]) -> metrics::Gauge {
    describe(metric);
    metrics::gauge!(metric.name, labels(metric, values))
}

fn histogram<const N: usize>(metric: &Metric, values: [&str; N]) -> metrics::Histogram {
    describe(metric);
    metrics::histogram!(metric.name, labels(metric, values))
}

/// When something began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Began(Instant);

impl Began {
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }
}

/// The metrics of one subscription.
pub(crate) struct SubscriptionMetrics {
    name: String,
    system: OnceLock<&'static str>,
    handles: OnceLock<Handles>,
}

struct Handles {
    well: metrics::Histogram,
    lag: metrics::Histogram,
    in_flight: metrics::Gauge,
    consumers: metrics::Gauge,
    handled: metrics::Counter,
    retried: metrics::Counter,
    deferred: metrics::Counter,
    returned: metrics::Counter,
    dead_lettered: metrics::Counter,
    invalid: metrics::Counter,
}

/// The outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandlingOutcome {
    Handled,
    Again,
    Returned,
    DeadLettered,
    Invalid,
}

impl std::fmt::Debug for SubscriptionMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubscriptionMetrics")
    }
}

impl SubscriptionMetrics {
    pub(crate) fn new(settings: &SubscriptionSettings) -> Self {
        Self {
            name: settings.name.to_string(),
            system: OnceLock::new(),
            handles: OnceLock::new(),
        }
    }

    fn handles(&self, system: &'static str) -> &Handles {
        self.handles.get_or_init(|| {
            let of = [*self.system.get_or_init(|| system), &self.name];
            let [system, name] = of;
            Handles {
                well: histogram(&table::PROCESS_DURATION, [system, name, ""]),
                lag: histogram(&table::LAG, of),
                in_flight: gauge(&table::IN_FLIGHT, of),
                consumers: gauge(&table::CONSUMERS, of),
                handled: counter(&table::HANDLED, of),
                retried: counter(&table::RETRIED, of),
                deferred: counter(&table::DEFERRED, of),
                returned: counter(&table::RETURNED, of),
                dead_lettered: counter(&table::DEAD_LETTERED, of),
                invalid: counter(&table::INVALID, of),
            }
        })
    }

    /// A message has its turn, until what is given is dropped.
    pub(crate) fn in_flight(&self, system: &'static str, header: Option<&MessageHeader>) -> Counted {
        let handles = self.handles(system);
        if let Some(header) = header {
            // The clocks of others may be ahead.
            let age = SystemTime::now().duration_since(header.timestamp);
            handles.lag.record(age.unwrap_or_default());
        }
        Counted::new(&handles.in_flight)
    }

    /// A performer consumes its channel, until what is given is dropped.
    pub(crate) fn consumes(&self, system: &'static str) -> Counted {
        Counted::new(&self.handles(system).consumers)
    }

    /// Counts the outcome of a message, and the reason if handling it failed.
    pub(crate) fn decided(
        &self,
        system: &'static str,
        began: Began,
        outcome: HandlingOutcome,
        failed: Option<&'static str>,
    ) {
        let (handles, took) = (self.handles(system), began.0.elapsed());
        match failed {
            None => handles.well.record(took),
            // What goes wrong costs more than asking the recorder.
            Some(reason) => {
                let of = [system, &self.name, reason];
                histogram(&table::PROCESS_DURATION, of).record(took);
                counter(&table::FAILED, of).increment(1);
            }
        }
        let counter = match outcome {
            HandlingOutcome::Handled => &handles.handled,
            HandlingOutcome::Again if failed.is_some() => &handles.retried,
            HandlingOutcome::Again => &handles.deferred,
            HandlingOutcome::Returned => &handles.returned,
            HandlingOutcome::DeadLettered => &handles.dead_lettered,
            HandlingOutcome::Invalid => &handles.invalid,
        };
        counter.increment(1);
    }
}

/// One more, until it is dropped.
pub(crate) struct Counted(metrics::Gauge);

impl Counted {
    fn new(gauge: &metrics::Gauge) -> Self {
        gauge.increment(1);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// The metrics of one handler.
#[derive(Clone)]
pub(crate) struct HandlerMetrics {
    handler: &'static str,
    well: Arc<OnceLock<metrics::Histogram>>,
    batches: Arc<OnceLock<metrics::Histogram>>,
}

impl std::fmt::Debug for HandlerMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandlerMetrics")
    }
}

impl HandlerMetrics {
    pub(crate) fn new(handler: &'static str) -> Self {
        Self {
            handler,
            well: Arc::default(),
            batches: Arc::default(),
        }
    }

    /// A batch handler is called with this many messages.
    pub(crate) fn called(&self, messages: usize) {
        let histogram = self
            .batches
            .get_or_init(|| histogram(&table::BATCH_SIZE, [self.handler]));
        histogram.record(u32::try_from(messages).map_or(f64::from(u32::MAX), f64::from));
    }

    pub(crate) fn tried(&self, began: Began, failed: Option<&'static str>) {
        let took = began.0.elapsed();
        let histogram = |reason| histogram(&table::HANDLER_DURATION, [self.handler, reason]);
        match failed {
            None => self.well.get_or_init(|| histogram("")).record(took),
            Some(reason) => histogram(reason).record(took),
        }
    }
}

/// The metrics of the messages that go to one broker, by topic.
#[derive(Default)]
pub(crate) struct SentMetrics(Mutex<HashMap<RoutingKey, (metrics::Counter, metrics::Histogram)>>);

impl SentMetrics {
    pub(crate) fn sent(
        &self,
        system: &'static str,
        topic: &RoutingKey,
        began: Began,
        failed: Option<&'static str>,
    ) {
        let took = began.0.elapsed();
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |topic: &str, reason| {
            let of = [system, topic, reason];
            (counter(&table::SENT, of), histogram(&table::SEND_DURATION, of))
        };
        let many = topics.len() >= MOST_TOPICS && !topics.contains_key(topic);
        let name = if many { OTHER } else { topic.as_str() };
        if let Some(reason) = failed {
            let (count, duration) = of(name, reason);
            count.increment(1);
            return duration.record(took);
        }
        let key = if many {
            RoutingKey::from(OTHER)
        } else {
            topic.clone()
        };
        let (count, duration) = topics.entry(key).or_insert_with(|| of(name, ""));
        count.increment(1);
        duration.record(took);
    }
}

/// Sets the gauges of an outbox.
pub(crate) fn outbox(status: &OutboxStatus) {
    let count = |count: u64| u32::try_from(count).map_or(f64::from(u32::MAX), f64::from);
    gauge(&table::OUTSTANDING, []).set(count(status.outstanding));
    gauge(&table::OLDEST, []).set(status.oldest.unwrap_or(Duration::ZERO).as_secs_f64());
    gauge(&table::DEAD, []).set(count(status.dead));
}

/// The state of one circuit breaker, under the name of each policy that uses it.
#[derive(Default)]
pub(crate) struct CircuitMetrics(Mutex<Vec<(String, metrics::Gauge)>>);

impl CircuitMetrics {
    /// A policy of this name uses it, and it is at this level.
    pub(crate) fn known_as(&self, policy: &str, level: u8) {
        let gauge = gauge(&table::CIRCUIT, [policy]);
        gauge.set(f64::from(level));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The recorder may be another than at the last time.
        known.retain(|(name, _)| name != policy);
        known.push((policy.to_owned(), gauge));
    }

    /// Sets the level.
    pub(crate) fn is_now(&self, level: u8) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, gauge) in known.iter() {
            gauge.set(f64::from(level));
        }
    }
}

/// A retry policy tries again.
pub(crate) fn retries(policy: &str) {
    counter(&table::RETRIES, [policy]).increment(1);
}

/// A reply to a call is for nobody.
pub(crate) fn reply_dropped(system: &'static str, reason: &'static str) {
    counter(&table::REPLIES_DROPPED, [system, reason]).increment(1);
}
