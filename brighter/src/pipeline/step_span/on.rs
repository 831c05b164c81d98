//! With the feature `otel` each call of a step is a span.

use std::sync::Arc;

use brighter_core::__private::{Op, OpFuture, op};

/// The future of a call that is a span.
pub(super) type SpanFuture<F> = OpFuture<F>;

/// The span of a step's calls.
#[derive(Debug, Clone)]
pub(super) struct StepSpan {
    name: Arc<str>,
    handler: &'static str,
}

impl StepSpan {
    pub(super) fn new(attribute: &str, name: &str, handler: &'static str) -> Self {
        let name = format!("{attribute} {name}");
        Self {
            name: name.trim_end().into(),
            handler,
        }
    }

    /// Makes a call within a span.
    pub(super) fn run<F: Future>(&self, call: impl FnOnce() -> F) -> SpanFuture<F> {
        let op: Op = op!("step");
        op.describe(|span| {
            span.rename(self.name.to_string());
            span.set("brighter.handler", self.handler);
        });
        // A layer may do its part before there is a future.
        let future = op.span().in_scope(call);
        op.run(future)
    }
}
