//! `#[layer]`: any tower layer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::handler::Call;
use brighter_core::error::{BoxError, HandlerError};

/// The layer of `#[layer]`: another layer, whose errors are turned into [`HandlerError`]s. One that came from
/// inside is found again in whatever it was put.
#[derive(Debug, Clone, Copy)]
pub struct ForeignLayer<L> {
    layer: L,
}

impl<L> ForeignLayer<L> {
    pub(crate) fn new(layer: L) -> Self {
        Self { layer }
    }
}

impl<S, L: Layer<S>> Layer<S> for ForeignLayer<L> {
    type Service = ForeignService<L::Service>;

    fn layer(&self, inner: S) -> ForeignService<L::Service> {
        ForeignService {
            service: self.layer.layer(inner),
        }
    }
}

/// The service of [`ForeignLayer`].
#[derive(Debug, Clone)]
pub struct ForeignService<S> {
    service: S,
}

impl<S, R> Service<Call<R>> for ForeignService<S>
where
    S: Service<Call<R>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = HandlerError;
    type Future = ForeignFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        self.service
            .poll_ready(task)
            .map_err(|error| HandlerError::from(error.into()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        ForeignFuture {
            inner: self.service.call(call),
        }
    }
}

pin_project! {
    /// The future of [`ForeignService`].
    #[derive(Debug)]
    pub struct ForeignFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, T, E> Future for ForeignFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        self.project()
            .inner
            .poll(task)
            .map_err(|error| HandlerError::from(error.into()))
    }
}
