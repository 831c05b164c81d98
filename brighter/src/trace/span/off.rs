//! Without the feature `otel` nothing is done, and nothing is left of the calls.

use super::TraceContext;

/// Something that would be a span.
#[derive(Debug, Clone)]
pub(crate) struct Op;

/// What would be said of a span.
pub(crate) struct Attributes(());

/// Begins a span, below the one that goes on.
macro_rules! op {
    ($($span:tt)*) => {{
        let _ = || tracing::info_span!(target: "brighter::trace", $($span)*);
        $crate::trace::Op::none()
    }};
}
pub(crate) use op;

impl From<tracing::Span> for Op {
    fn from(_: tracing::Span) -> Self {
        Self
    }
}

impl Op {
    pub(crate) fn none() -> Self {
        Self
    }

    pub(crate) fn run<F: Future>(&self, future: F) -> F {
        future
    }

    pub(crate) fn linked_to(self, _: &Self) -> Self {
        self
    }

    pub(crate) fn below(self, _: &TraceContext) -> Self {
        self
    }

    pub(crate) fn of_message(self, _: &TraceContext) -> Self {
        self
    }

    pub(crate) fn describe(&self, _: impl FnOnce(&mut Attributes)) {}

    pub(crate) fn failed(&self, _: &'static str) {}

    pub(crate) fn trace(&self) -> Option<TraceContext> {
        None
    }
}

impl Attributes {
    pub(crate) fn set<T>(&mut self, _: &'static str, _: T) {}
}
