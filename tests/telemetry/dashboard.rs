//! The dashboard asks for metrics that there are, and for all of them; and Prometheus can read them all.

use brighter::telemetry::{METRICS, MetricKind};
use brighter_tests::promtool;
use metrics::{Unit, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;

use crate::metrics::name;

/// The expressions of all panels.
fn expressions() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana/brighter.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

/// The words of an expression that are ours: metrics, and labels.
fn words(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("brighter_") || word.starts_with("messaging_"))
}

/// Whether this word of an expression asks for the metric.
fn asks_for(word: &str, metric: &brighter::telemetry::Metric) -> bool {
    let word = match metric.kind {
        MetricKind::Histogram => word.strip_suffix("_bucket").unwrap_or_default(),
        _ => word,
    };
    word == name(metric)
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let expressions = expressions();
    let words: Vec<_> = expressions.iter().flat_map(|text| words(text)).collect();
    for metric in METRICS {
        let is_asked_for = words.iter().any(|word| asks_for(word, metric));
        assert!(is_asked_for, "{} is not on the dashboard", metric.name);
    }
    let is_label = |word: &str| {
        let labels = METRICS.iter().flat_map(|metric| metric.labels);
        labels.into_iter().any(|label| label.replace('.', "_") == word)
    };
    for word in words {
        let is_known = is_label(word) || METRICS.iter().any(|metric| asks_for(word, metric));
        assert!(is_known, "there is no `{word}`");
    }
}

/// Every label that an expression groups by is one of the metric that it asks for.
#[test]
fn the_dashboard_groups_by_labels_of_the_metric() {
    for expression in expressions() {
        let metric = METRICS
            .iter()
            .find(|metric| words(&expression).any(|word| asks_for(word, metric)))
            .unwrap();
        for word in words(&expression).filter(|word| !asks_for(word, metric)) {
            let labels = metric.labels.iter().map(|label| label.replace('.', "_"));
            assert!(labels.clone().any(|label| label == word), "{word}: {expression}");
        }
    }
}

#[test]
fn promtool_accepts_every_metric() {
    let recorder = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets(&[1.0])
        .unwrap()
        .build_recorder();
    with_local_recorder(&recorder, || {
        for metric in METRICS {
            let labels: Vec<_> = metric.labels.iter().map(|label| (*label, "x")).collect();
            let unit = match metric.unit {
                "s" => Unit::Seconds,
                _ => Unit::Count,
            };
            match metric.kind {
                MetricKind::Counter => {
                    metrics::describe_counter!(metric.name, unit, metric.help);
                    metrics::counter!(metric.name, &labels).increment(1);
                }
                MetricKind::Gauge => {
                    metrics::describe_gauge!(metric.name, unit, metric.help);
                    metrics::gauge!(metric.name, &labels).set(1.0);
                }
                MetricKind::Histogram => {
                    metrics::describe_histogram!(metric.name, unit, metric.help);
                    metrics::histogram!(metric.name, &labels).record(0.5);
                }
                kind => panic!("{kind:?} is new"),
            }
        }
    });
    let text = recorder.handle().render();
    for metric in METRICS {
        let line = format!("# HELP {} {}\n", name(metric), metric.help);
        assert!(text.contains(&line), "{line}{text}");
    }
    promtool::accepts(&text);
}
