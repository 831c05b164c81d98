//! `#[validate]`: what is not valid is not handled.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service, ServiceExt};

use crate::handler::Call;
use brighter_core::error::{BoxError, HandlerError};
use brighter_core::request::Validate;

/// The layer of `#[validate]`.
///
/// It holds the request's own check, so that a request without one is told once, where the layer is made.
pub struct ValidateLayer<R> {
    check: fn(&R) -> Result<(), BoxError>,
}

impl<R: Validate> ValidateLayer<R> {
    pub(crate) fn new() -> Self {
        Self {
            check: |request| request.validate().map_err(Into::into),
        }
    }
}

impl<R> Clone for ValidateLayer<R> {
    fn clone(&self) -> Self {
        Self { check: self.check }
    }
}

impl<R> fmt::Debug for ValidateLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateLayer").finish_non_exhaustive()
    }
}

impl<S, R> Layer<S> for ValidateLayer<R> {
    type Service = ValidateService<S, R>;

    fn layer(&self, inner: S) -> ValidateService<S, R> {
        ValidateService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service of [`ValidateLayer`].
#[derive(Debug)]
pub struct ValidateService<S, R> {
    inner: S,
    layer: ValidateLayer<R>,
}

impl<S: Clone, R> Clone for ValidateService<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S, R> Service<Call<R>> for ValidateService<S, R>
where
    S: Service<Call<R>, Error = HandlerError> + Clone,
{
    type Response = S::Response;
    type Error = HandlerError;
    type Future = ValidateFuture<Oneshot<S, Call<R>>>;

    /// Always: what is not valid does not wait for what is inside.
    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let state = match (self.layer.check)(call.request()) {
            Ok(()) => State::Valid {
                inner: self.inner.clone().oneshot(call),
            },
            Err(error) => State::Invalid { error: Some(error) },
        };
        ValidateFuture { state }
    }
}

pin_project! {
    /// The future of [`ValidateService`].
    pub struct ValidateFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Valid { #[pin] inner: F },
        Invalid { error: Option<BoxError> },
    }
}

impl<F, T> Future for ValidateFuture<F>
where
    F: Future<Output = Result<T, HandlerError>>,
{
    type Output = Result<T, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Valid { inner } => inner.poll(task),
            // Nobody polls what is done; if somebody does, there is no second error to give.
            StateProj::Invalid { error } => Poll::Ready(Err(error
                .take()
                .map_or(HandlerError::Cancelled, HandlerError::Validation))),
        }
    }
}

impl<F> fmt::Debug for ValidateFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateFuture").finish_non_exhaustive()
    }
}
