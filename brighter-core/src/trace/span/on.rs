//! [`Op`]: an OpenTelemetry span, made through `tracing`.
//!
//! Only this file knows both: the rest of the library emits `tracing` spans, and does not depend on OpenTelemetry.
//! Without a subscriber the cost is one check of a flag.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use opentelemetry::trace::{SpanContext, SpanRef, Status, TraceContextExt};
use opentelemetry::{Context as OtelContext, KeyValue, Value};
use pin_project_lite::pin_project;
use tracing::Span;
use tracing::instrument::{Instrument, Instrumented};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{TraceContext, otel};

/// An operation that appears as a span in a trace, until its last clone is dropped.
#[derive(Debug, Clone)]
pub struct Op {
    span: Span,
    is_apart: bool,
}

/// Begins a span below the current one. A span with fields is kept [apart](Op::apart) from the log; a name that is
/// computed is an attribute of the others.
#[doc(hidden)]
#[macro_export]
macro_rules! __op {
    ($($span:tt)*) => {
        $crate::__private::Op::from(tracing::info_span!(target: "brighter::trace", $($span)*))
    };
}

impl From<Span> for Op {
    fn from(span: Span) -> Self {
        Self {
            span,
            is_apart: false,
        }
    }
}

impl Op {
    #[doc(hidden)]
    pub fn none() -> Self {
        Self::from(Span::none())
    }

    #[doc(hidden)]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Keeps the fields of the span out of the log. A future that runs within it does not enter the span, which is the
    /// current one of OpenTelemetry alone: spans that begin there are below it, and lines of the log do not show it.
    #[doc(hidden)]
    pub fn apart(mut self) -> Self {
        self.is_apart = true;
        self
    }

    /// Runs the future within the span.
    #[doc(hidden)]
    pub fn run<F: Future>(&self, future: F) -> OpFuture<F> {
        let (entered, context) = match self.is_apart {
            false => (self.span.clone(), None),
            true if self.span.is_disabled() => (Span::none(), None),
            true => (Span::none(), Some(self.span.context()).filter(is_valid)),
        };
        OpFuture {
            future: future.instrument(entered),
            context,
        }
    }

    /// Adds a link to the span of another operation.
    #[doc(hidden)]
    pub fn linked_to(self, other: &Self) -> Self {
        if !self.span.is_disabled() && !other.span.is_disabled() {
            let to = other.span.context();
            self.span.add_link(to.span().span_context().clone());
        }
        self
    }

    /// Moves the span below the handling of a request in this trace, unless the current span belongs to the same trace.
    #[doc(hidden)]
    pub fn within(self, handling: Option<Span>, trace: &TraceContext) -> Self {
        if self.span.is_disabled() {
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

    /// Moves the span below the one that a message names, and nothing else.
    #[doc(hidden)]
    pub fn below(self, trace: &TraceContext) -> Self {
        if !self.span.is_disabled()
            && let Some(parent) = otel::read(trace)
        {
            self.put_below(parent);
        }
        self
    }

    /// Moves the span below the one that a message names, and links it to the current span if that is another one.
    #[doc(hidden)]
    pub fn of_message(self, trace: &TraceContext) -> Self {
        if self.span.is_disabled() {
            return self;
        }
        let here = here();
        let here = here.span();
        let Some(parent) = otel::read(trace).filter(is_valid) else {
            return self;
        };
        if parent.span().span_context().span_id() != here.span_context().span_id() {
            self.put_below(parent);
            self.span.add_link(here.span_context().clone());
        }
        self
    }

    fn put_below(&self, parent: OtelContext) {
        // Without the OpenTelemetry layer there is no span to move.
        let _ = self.span.set_parent(parent);
    }

    /// Sets attributes, if the span is recorded.
    #[doc(hidden)]
    pub fn describe(&self, say: impl FnOnce(&mut Attributes<'_>)) {
        if self.span.is_disabled() {
            return;
        }
        let context = self.span.context();
        let span = context.span();
        if span.is_recording() {
            say(&mut Attributes(span));
        }
    }

    /// Marks the operation as failed, for one of a few reasons.
    #[doc(hidden)]
    pub fn failed(&self, reason: &'static str) {
        self.describe(|attributes| {
            attributes.set("error.type", reason);
            attributes.0.set_status(Status::error(reason));
        });
    }

    /// Returns the trace for a message that is made within this operation; `None` if there is no trace.
    #[doc(hidden)]
    pub fn trace(&self) -> Option<TraceContext> {
        let own = match self.span.is_disabled() {
            true => None,
            false => Some(self.span.context()).filter(is_valid),
        };
        otel::write(&own.unwrap_or_else(here))
    }
}

pin_project! {
    /// A future that runs within an operation.
    pub struct OpFuture<F> {
        #[pin]
        future: Instrumented<F>,
        context: Option<OtelContext>,
    }
}

impl<F: Future> Future for OpFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _current = this.context.clone().map(OtelContext::attach);
        this.future.poll(task)
    }
}

/// The attributes of a span.
pub struct Attributes<'a>(SpanRef<'a>);

impl Attributes<'_> {
    /// Changes the name of the span.
    #[doc(hidden)]
    pub fn rename(&mut self, name: impl Into<Cow<'static, str>>) {
        self.0.update_name(name);
    }

    #[doc(hidden)]
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(key, value));
    }
}

/// Returns the current context. A span of `tracing` that is entered is that of OpenTelemetry as well, unless the
/// application has turned this off.
fn here() -> OtelContext {
    let current = OtelContext::current();
    if is_valid(&current) {
        return current;
    }
    let span = Span::current();
    let entered = (!span.is_disabled()).then(|| span.context());
    entered.filter(is_valid).unwrap_or(current)
}

fn is_valid(context: &OtelContext) -> bool {
    context.span().span_context().is_valid()
}

fn trace_id(context: &OtelContext) -> opentelemetry::TraceId {
    let span = context.span();
    SpanContext::trace_id(span.span_context())
}
