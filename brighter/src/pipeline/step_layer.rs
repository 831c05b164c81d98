//! [`StepLayer`]: a layer whose calls are spans.

use std::fmt;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use tower::{Layer, Service};
use tracing::instrument::Instrumented;

use crate::handler::Call;
use brighter_core::__private::{Op, op};

/// A layer whose calls are seen in a trace, each with what is inside it.
#[derive(Clone)]
pub struct StepLayer<L> {
    layer: L,
    name: Arc<str>,
    handler: &'static str,
}

impl<L> StepLayer<L> {
    pub(super) fn new(layer: L, name: &str, handler: &'static str) -> Self {
        Self {
            layer,
            name: name.into(),
            handler,
        }
    }
}

impl<L: fmt::Debug> fmt::Debug for StepLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layer.fmt(f)
    }
}

impl<S, L: Layer<S>> Layer<S> for StepLayer<L> {
    type Service = StepService<L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        StepService {
            service: self.layer.layer(inner),
            name: Arc::clone(&self.name),
            handler: self.handler,
        }
    }
}

/// The service of [`StepLayer`].
#[derive(Debug, Clone)]
pub struct StepService<S> {
    service: S,
    name: Arc<str>,
    handler: &'static str,
}

impl<S: Service<Call<R>>, R> Service<Call<R>> for StepService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(task)
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let op: Op = op!("step", otel.name = &*self.name);
        op.describe(|span| span.set("brighter.handler", self.handler));
        // A layer may do its part before there is a future.
        let future = op.span().in_scope(|| self.service.call(call));
        op.run(future)
    }
}
