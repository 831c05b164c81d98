//! The log: to standard error, as text or as JSON, one object a line.

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::spans::Spans;

/// Begins to log, and to bring spans away. Standard output is for what other programs read.
pub(crate) fn begin(form: &str, spans: &Spans) {
    let log = match form {
        "json" => {
            let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
            // The filter is the log's alone: what it leaves out are spans all the same.
            log.json()
                .flatten_event(true)
                .with_ansi(false)
                .with_filter(filter())
                .boxed()
        }
        _ => text().boxed(),
    };
    tracing_subscriber::registry()
        .with(log)
        .with(spans.layer())
        .init();
}

/// The log as text.
pub(crate) fn text<S>() -> impl Layer<S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_filter(filter())
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
