//! Every metric, with what is to be known of it.

use brighter_core::__private::reconnects;

/// How a metric is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// A value that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Values that are counted in buckets.
    Histogram,
}

/// A metric that brighter writes through the [`metrics`](https://docs.rs/metrics) facade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, as OpenTelemetry has it. Prometheus has `_` for `.`, and the unit and `_total` behind it.
    pub name: &'static str,
    /// How it is to be read.
    pub kind: MetricKind,
    /// The unit, by UCUM: `s`, `{message}`.
    pub unit: &'static str,
    /// The description of the metric.
    pub help: &'static str,
    /// Its labels. All take few values: names of the application's own, and kinds of errors.
    pub labels: &'static [&'static str],
}

macro_rules! metrics {
    ($($ident:ident $kind:ident $name:tt $unit:literal [$($label:tt),*] $help:tt;)*) => {
        $(
            pub(crate) const $ident: Metric = Metric {
                name: $name,
                kind: MetricKind::$kind,
                unit: $unit,
                help: $help,
                labels: &[$($label),*],
            };
        )*

        /// Every metric that brighter writes.
        pub const METRICS: &[Metric] = &[$($ident),*];
    };
}

metrics! {
    SENT Counter "messaging.client.sent.messages" "{message}"
        ["messaging.system", "messaging.destination.name", "error.type"]
        "Messages that were brought to the broker, by topic; error.type is empty for those that it took.";
    SEND_DURATION Histogram "messaging.client.operation.duration" "s"
        ["messaging.system", "messaging.destination.name", "error.type"]
        "Time until the broker had confirmed a message, by topic.";
    PROCESS_DURATION Histogram "messaging.process.duration" "s"
        ["messaging.system", "brighter.subscription", "error.type"]
        "Time from a message's turn until it was decided what becomes of it, all its handlers included.";
    HANDLED Counter "brighter.handled.messages" "{message}" ["messaging.system", "brighter.subscription"]
        "Messages that all their handlers handled, and which are acked.";
    FAILED Counter "brighter.failed.messages" "{message}"
        ["messaging.system", "brighter.subscription", "error.type"]
        "Deliveries whose handling went wrong, whatever became of them.";
    RETRIED Counter "brighter.retried.messages" "{message}" ["messaging.system", "brighter.subscription"]
        "Messages that come again after a delay, because handling them went wrong.";
    DEFERRED Counter "brighter.deferred.messages" "{message}" ["messaging.system", "brighter.subscription"]
        "Messages that come again after a delay, because a handler asked for that or was spared them.";
    RETURNED Counter "brighter.returned.messages" "{message}" ["messaging.system", "brighter.subscription"]
        "Messages that were given back unchanged.";
    DEAD_LETTERED Counter "brighter.dead_lettered.messages" "{message}"
        ["messaging.system", "brighter.subscription"]
        "Messages that were put in the dead-letter channel.";
    INVALID Counter "brighter.invalid.messages" "{message}" ["messaging.system", "brighter.subscription"]
        "Messages that could not be understood, and were set aside.";
    IN_FLIGHT Gauge "brighter.in_flight.messages" "{message}" ["messaging.system", "brighter.subscription"]
        "Messages in hand: being handled, or being settled.";
    LAG Histogram "brighter.process.lag" "s" ["messaging.system", "brighter.subscription"]
        "Age of a message at its turn, by the clock of who made it.";
    CONSUMERS Gauge "brighter.active.consumers" "{consumer}" ["messaging.system", "brighter.subscription"]
        "Performers that consume their channel at this moment.";
    HANDLER_DURATION Histogram "brighter.handler.duration" "s" ["brighter.handler", "error.type"]
        "Time that a handler took for one attempt, without its steps.";
    BATCH_SIZE Histogram "brighter.batch.messages" "{message}" ["brighter.handler"]
        "Messages that one call of a batch handler was given.";
    OUTSTANDING Gauge "brighter.outbox.outstanding.messages" "{message}" []
        "Messages in the outbox that the broker does not have yet.";
    OLDEST Gauge "brighter.outbox.oldest.age" "s" []
        "Age of the oldest message in the outbox that the broker does not have yet; 0 if there is none.";
    DEAD Gauge "brighter.outbox.dead.messages" "{message}" []
        "Messages in the outbox that are not tried again until they are revived.";
    CIRCUIT Gauge "brighter.circuit_breaker.state" "{state}" ["brighter.policy"]
        "State of a circuit breaker: 0 closed, 1 half open, 2 open, until somebody calls after its time.";
    RETRIES Counter "brighter.policy.retries" "{attempt}" ["brighter.policy"]
        "Attempts after the first that a retry policy made.";
    REPLIES_DROPPED Counter "brighter.dropped.replies" "{message}" ["messaging.system", "brighter.reason"]
        "Replies to calls that nobody waits for: nobody_waits where they came, nobody_there where they were sent.";
    // Counted by the broker's own crate.
    RECONNECTS Counter (reconnects::NAME) "{connection}" [(reconnects::LABELS[0]), (reconnects::LABELS[1])]
        (reconnects::HELP);
}
