//! All spans that were over in this program, and how those of one trace hang together.

use std::fmt::Write;
use std::io;
use std::sync::{Mutex, Once};

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceContextExt, TraceId, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

static OVER: Mutex<Vec<SpanData>> = Mutex::new(Vec::new());

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes to the log of this program.
struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines of the log, as text, that have this in them.
pub(crate) fn log_lines(text: &str) -> Vec<String> {
    let log = String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned();
    let lines = log.lines().filter(|line| line.contains(text));
    lines.map(str::to_owned).collect()
}

#[derive(Debug)]
struct Collector;

impl SpanExporter for Collector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        OVER.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// Has every span of this program collected, as the default sampler decides.
pub(crate) fn collect() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(Collector)
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("tests"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false);
        let log = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(|| Log)
            .with_filter(LevelFilter::INFO);
        tracing_subscriber::registry().with(layer).with(log).init();
    });
}

/// As a server begins to answer a request.
pub(crate) fn server(name: &'static str) -> Span {
    tracing::info_span!("server", otel.name = name, otel.kind = "server")
}

/// The trace that a span belongs to.
pub(crate) fn trace_of(span: &Span) -> TraceId {
    span.context().span().span_context().trace_id()
}

/// The spans of one trace that are over, in the order in which they were begun.
pub(crate) fn spans(trace: TraceId) -> Vec<SpanData> {
    let over = OVER.lock().unwrap();
    let mut spans: Vec<_> = over
        .iter()
        .filter(|span| span.span_context.trace_id() == trace)
        .cloned()
        .collect();
    spans.sort_by_key(|span| span.start_time);
    spans
}

/// Of all spans of all traces, the ones of this name.
pub(crate) fn named(name: &str) -> Vec<SpanData> {
    let over = OVER.lock().unwrap();
    over.iter().filter(|span| span.name == name).cloned().collect()
}

/// All that any span of this program has said.
pub(crate) fn everything() -> String {
    format!("{:?}", OVER.lock().unwrap())
}

/// A trace as a tree: each span below its parent, with its kind, what went wrong, and what it is linked to.
pub(crate) fn tree(trace: TraceId) -> String {
    let spans = spans(trace);
    let mut text = String::new();
    let roots = spans
        .iter()
        .filter(|span| !spans.iter().any(|other| is_parent(other, span)));
    for root in roots {
        branch(&spans, root, 0, &mut text);
    }
    text
}

fn branch(spans: &[SpanData], span: &SpanData, depth: usize, text: &mut String) {
    let kind = match span.span_kind {
        SpanKind::Internal => "internal",
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    };
    write!(text, "{}{} ({kind})", "  ".repeat(depth), span.name).unwrap();
    if let Status::Error { description } = &span.status {
        write!(text, " failed: {description}").unwrap();
    }
    for link in span.links.iter() {
        write!(text, " -> {}", name_of(link.span_context.span_id())).unwrap();
    }
    text.push('\n');
    for child in spans.iter().filter(|child| is_parent(span, child)) {
        branch(spans, child, depth + 1, text);
    }
}

fn is_parent(parent: &SpanData, child: &SpanData) -> bool {
    child.parent_span_id == parent.span_context.span_id()
}

fn name_of(id: SpanId) -> String {
    let over = OVER.lock().unwrap();
    let linked = over.iter().find(|span| span.span_context.span_id() == id);
    linked.map_or_else(|| "nothing".to_owned(), |span| span.name.to_string())
}

/// What a span says by this name.
pub(crate) fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == name);
    found.map(|attribute| attribute.value.to_string())
}
