//! [`StepLayer`]: a layer as [`Wiring`](super::Wiring) hands it out.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::step_span::{SpanFuture, StepSpan};
use crate::handler::Call;

/// A layer as [`Wiring`](super::Wiring) hands it out. With the feature `otel` its calls are seen in a trace, each with
/// what is inside it.
#[derive(Clone)]
pub struct StepLayer<L> {
    layer: L,
    span: StepSpan,
}

impl<L> StepLayer<L> {
    pub(super) fn new(layer: L, attribute: &str, name: &str, handler: &'static str) -> Self {
        Self {
            layer,
            span: StepSpan::new(attribute, name, handler),
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
            span: self.span.clone(),
        }
    }
}

/// The service of [`StepLayer`].
#[derive(Debug, Clone)]
pub struct StepService<S> {
    service: S,
    span: StepSpan,
}

impl<S: Service<Call<R>>, R> Service<Call<R>> for StepService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = StepFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(task)
    }

    fn call(&mut self, call: Call<R>) -> StepFuture<S::Future> {
        let service = &mut self.service;
        StepFuture {
            future: self.span.run(|| service.call(call)),
        }
    }
}

pin_project! {
    /// The future of [`StepService`].
    pub struct StepFuture<F> {
        #[pin]
        future: SpanFuture<F>,
    }
}

impl<F: Future> Future for StepFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<F::Output> {
        self.project().future.poll(task)
    }
}
