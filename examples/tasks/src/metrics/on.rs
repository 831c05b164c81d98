//! The metrics, for Prometheus.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::failure::Failure;

/// How long things take: what OpenTelemetry proposes for durations, in seconds.
const DURATIONS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// How old messages become: a worker that was away for a night finds them of all ages.
const AGES: &[f64] = &[
    0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0,
];

/// Histograms keep what they are told until it is asked for or this often.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Begins to count, and gives what writes down the counts. What is built before is not counted.
pub(crate) fn begin() -> Result<impl Fn() -> String + Send + Sync + 'static, Failure> {
    let handle = install().map_err(|error| Failure::because("the metrics cannot be counted", &error))?;
    let kept = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            kept.run_upkeep();
        }
    });
    Ok(move || handle.render())
}

fn install() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets(DURATIONS)?
        .set_buckets_for_metric(Matcher::Full("brighter.process.lag".to_owned()), AGES)?
        .install_recorder()
}
