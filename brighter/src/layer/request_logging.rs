//! `#[request_logging]`: says what is handled, how it ended, and how long it took.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};
use std::time::Instant;

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::error::HandlerError;
use crate::handler::Call;
use crate::request::Request;

/// The layer of `#[request_logging]`.
///
/// Around a handler it writes an event when the request goes in and another when the outcome is known; after
/// it, one when the request was handled. The request's own fields are never written.
#[derive(Debug, Clone, Copy)]
pub struct RequestLoggingLayer {
    handler: &'static str,
    around: bool,
}

impl RequestLoggingLayer {
    /// Writes on the way in and on the way out.
    #[must_use]
    pub fn around(handler: &'static str) -> Self {
        Self {
            handler,
            around: true,
        }
    }

    /// Writes on the way out, and only if the request was handled.
    #[must_use]
    pub fn after(handler: &'static str) -> Self {
        Self {
            handler,
            around: false,
        }
    }
}

impl<S> Layer<S> for RequestLoggingLayer {
    type Service = RequestLoggingService<S>;

    fn layer(&self, inner: S) -> RequestLoggingService<S> {
        RequestLoggingService { inner, layer: *self }
    }
}

/// The service of [`RequestLoggingLayer`].
#[derive(Debug, Clone)]
pub struct RequestLoggingService<S> {
    inner: S,
    layer: RequestLoggingLayer,
}

impl<S, R> Service<Call<R>> for RequestLoggingService<S>
where
    S: Service<Call<R>, Error = HandlerError>,
    R: Request,
{
    type Response = S::Response;
    type Error = HandlerError;
    type Future = RequestLoggingFuture<S::Future, R>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let RequestLoggingLayer { handler, around } = self.layer;
        if around {
            tracing::info!(
                request = name_of::<R>(),
                handler,
                id = id_of(&call),
                attempt = call.context().attempt(),
                "handling"
            );
        }
        RequestLoggingFuture {
            inner: self.inner.call(call.clone()),
            layer: self.layer,
            began: Instant::now(),
            call,
        }
    }
}

/// The type's own name, without the modules it is in.
fn name_of<R>() -> &'static str {
    let name = std::any::type_name::<R>();
    name.rsplit("::").next().unwrap_or(name)
}

fn id_of<R: Request>(call: &Call<R>) -> Option<tracing::field::DisplayValue<&crate::id::MessageId>> {
    call.request()
        .id()
        .or(call.context().message_id())
        .map(tracing::field::display)
}

pin_project! {
    /// The future of [`RequestLoggingService`].
    #[derive(Debug)]
    pub struct RequestLoggingFuture<F, R> {
        #[pin]
        inner: F,
        layer: RequestLoggingLayer,
        began: Instant,
        call: Call<R>,
    }
}

impl<F, R, T> Future for RequestLoggingFuture<F, R>
where
    F: Future<Output = Result<T, HandlerError>>,
    R: Request,
{
    type Output = Result<T, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(task));
        let RequestLoggingLayer { handler, around } = *this.layer;
        let (request, id, took) = (name_of::<R>(), id_of(this.call), this.began.elapsed());
        match &result {
            Ok(_) => tracing::info!(request, handler, id, ?took, "handled"),
            Err(_) if !around => {}
            Err(error @ HandlerError::Action(_)) => {
                tracing::info!(request, handler, id, ?took, outcome = %error, "not handled");
            }
            Err(error) => tracing::warn!(request, handler, id, ?took, error = error.report(), "failed"),
        }
        Poll::Ready(result)
    }
}
