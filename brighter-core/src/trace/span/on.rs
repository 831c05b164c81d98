//! [`Op`]: a span of OpenTelemetry, by way of `tracing`.
//!
//! This is the seam between the two: beside it the library emits `tracing` spans and knows nothing of
//! OpenTelemetry. Whoever has no subscriber pays for a look at a flag.

use opentelemetry::trace::{SpanContext, SpanRef, Status, TraceContextExt};
use opentelemetry::{Context as OtelContext, KeyValue, Value};
use tracing::Span;
use tracing::instrument::{Instrument, Instrumented};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{TraceContext, otel};

/// Something that takes time and is seen in a trace, until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Op(Span);

/// Begins a span, below the one that goes on.
#[doc(hidden)]
#[macro_export]
macro_rules! __op {
    ($($span:tt)*) => {
        $crate::__private::Op::from(tracing::info_span!(target: "brighter::trace", $($span)*))
    };
}

impl From<Span> for Op {
    fn from(span: Span) -> Self {
        Self(span)
    }
}

impl Op {
    #[doc(hidden)]
    pub fn none() -> Self {
        Self(Span::none())
    }

    #[doc(hidden)]
    pub fn span(&self) -> &Span {
        &self.0
    }

    /// Runs the future within the span.
    #[doc(hidden)]
    pub fn run<F: Future>(&self, future: F) -> Instrumented<F> {
        future.instrument(self.0.clone())
    }

    /// The same, with a link to another.
    #[doc(hidden)]
    pub fn linked_to(self, other: &Self) -> Self {
        if !self.0.is_disabled() && !other.0.is_disabled() {
            let to = other.0.context();
            self.0.add_link(to.span().span_context().clone());
        }
        self
    }

    /// The same, within this handling of a request that belongs to this trace, also where the span that goes on
    /// here belongs to another or there is none.
    #[doc(hidden)]
    pub fn within(self, handling: Option<Span>, trace: &TraceContext) -> Self {
        if self.0.is_disabled() {
            return self;
        }
        let handling = handling.map(|span| span.context()).filter(is_valid);
        if let Some(handling) = handling.or_else(|| otel::read(trace))
            && trace_id(&handling) != trace_id(&here())
        {
            self.put_below(handling);
        }
        self
    }

    /// The same, below the span that a message names, and nothing else.
    #[doc(hidden)]
    pub fn below(self, trace: &TraceContext) -> Self {
        if !self.0.is_disabled()
            && let Some(parent) = otel::read(trace)
        {
            self.put_below(parent);
        }
        self
    }

    /// The same, below the span that a message names and linked to the one that goes on here, unless it is that.
    #[doc(hidden)]
    pub fn of_message(self, trace: &TraceContext) -> Self {
        if self.0.is_disabled() {
            return self;
        }
        let here = here();
        let here = here.span();
        let Some(parent) = otel::read(trace).filter(is_valid) else {
            return self;
        };
        if parent.span().span_context().span_id() != here.span_context().span_id() {
            self.put_below(parent);
            self.0.add_link(here.span_context().clone());
        }
        self
    }

    fn put_below(&self, parent: OtelContext) {
        // Without the layer of OpenTelemetry there is nothing to be put anywhere.
        let _ = self.0.set_parent(parent);
    }

    /// Says more of it, if anybody wants to know.
    #[doc(hidden)]
    pub fn describe(&self, say: impl FnOnce(&mut Attributes<'_>)) {
        if self.0.is_disabled() {
            return;
        }
        let context = self.0.context();
        let span = context.span();
        if span.is_recording() {
            say(&mut Attributes(span));
        }
    }

    /// It went wrong, for this reason of few.
    #[doc(hidden)]
    pub fn failed(&self, reason: &'static str) {
        self.describe(|attributes| {
            attributes.set("error.type", reason);
            attributes.0.set_status(Status::error(reason));
        });
    }

    /// What a message that is made within it says of its trace; `None` if there is no trace.
    #[doc(hidden)]
    pub fn trace(&self) -> Option<TraceContext> {
        let own = match self.0.is_disabled() {
            true => None,
            false => Some(self.0.context()).filter(is_valid),
        };
        otel::write(&own.unwrap_or_else(here))
    }
}

/// What can be said of a span.
pub struct Attributes<'a>(SpanRef<'a>);

impl Attributes<'_> {
    #[doc(hidden)]
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(key, value));
    }
}

/// Where we are: within a span of `tracing`, or of an application that speaks to OpenTelemetry itself.
fn here() -> OtelContext {
    let current = Span::current();
    match current.is_disabled() {
        true => OtelContext::current(),
        false => Some(current.context())
            .filter(is_valid)
            .unwrap_or_else(OtelContext::current),
    }
}

fn is_valid(context: &OtelContext) -> bool {
    context.span().span_context().is_valid()
}

fn trace_id(context: &OtelContext) -> opentelemetry::TraceId {
    let span = context.span();
    SpanContext::trace_id(span.span_context())
}
