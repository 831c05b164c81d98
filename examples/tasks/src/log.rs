//! The log: to standard error, as text or as JSON, one object a line.

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::spans::Spans;

/// Begins to log, and to bring spans away. Standard output is for what other programs read.
pub(crate) fn begin(form: &str, spans: &Spans) {
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match form {
        "json" => log.json().flatten_event(true).with_ansi(false).boxed(),
        _ => log
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .boxed(),
    };
    // The filter is the log's alone: what it leaves out are spans all the same.
    tracing_subscriber::registry()
        .with(log.with_filter(filter()))
        .with(spans.layer())
        .init();
}

/// `RUST_LOG`, or `info` without lapin: what it has to say brighter says too, and it writes whole messages to
/// the log, with all that is in them.
fn filter() -> Targets {
    let asked = std::env::var("RUST_LOG").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or_else(|| {
        Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("lapin", LevelFilter::OFF)
    })
}
