//! `#[request_logging]`: says what is handled, how it ended, and how long it took.

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};
use std::time::Instant;

use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::{Level, field};

use crate::handler::Call;
use crate::telemetry::id_beside_span;
use brighter_core::error::HandlerError;
use brighter_core::request::Request;

/// The layer of `#[request_logging]`.
///
/// Around a handler it writes an event when the request goes in, at `debug`, and another when the outcome is known;
/// after it, one when the request was handled. A failure is at `debug` while a message is handled, as the pump writes
/// its line with the error, and a warning elsewhere. The request's own fields are written only when that was asked
/// for, as its `Debug` shows them: what is secret must be hidden there.
pub struct RequestLoggingLayer<R> {
    handler: &'static str,
    around: bool,
    fields: Option<fn(&R) -> &dyn Debug>,
}

impl<R> RequestLoggingLayer<R> {
    /// Writes on the way in and on the way out.
    #[must_use]
    pub fn around(handler: &'static str) -> Self {
        Self {
            handler,
            around: true,
            fields: None,
        }
    }

    /// Writes on the way out, and only if the request was handled.
    #[must_use]
    pub fn after(handler: &'static str) -> Self {
        Self {
            handler,
            around: false,
            fields: None,
        }
    }

    /// Writes the fields of the request too, once.
    #[must_use]
    pub fn with_fields(self) -> Self
    where
        R: Debug,
    {
        Self {
            fields: Some(|request| request),
            ..self
        }
    }
}

impl<R> Clone for RequestLoggingLayer<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for RequestLoggingLayer<R> {}

impl<R> Debug for RequestLoggingLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLoggingLayer")
            .field("handler", &self.handler)
            .field("around", &self.around)
            .field("fields", &self.fields.is_some())
            .finish()
    }
}

impl<S, R> Layer<S> for RequestLoggingLayer<R> {
    type Service = RequestLoggingService<S, R>;

    fn layer(&self, inner: S) -> RequestLoggingService<S, R> {
        RequestLoggingService { inner, layer: *self }
    }
}

/// The service of [`RequestLoggingLayer`].
#[derive(Debug)]
pub struct RequestLoggingService<S, R> {
    inner: S,
    layer: RequestLoggingLayer<R>,
}

impl<S: Clone, R> Clone for RequestLoggingService<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer,
        }
    }
}

impl<S, R> Service<Call<R>> for RequestLoggingService<S, R>
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
        let RequestLoggingLayer {
            handler,
            around,
            fields,
        } = self.layer;
        if around && tracing::enabled!(Level::DEBUG) {
            let (request, attempt) = (name_of::<R>(), call.context().attempt());
            let request_id = id_beside_span(call.id(), call.context()).map(field::display);
            let fields = fields.map(|fields| field::debug(fields(call.request())));
            tracing::debug!(request, handler, request_id, attempt, fields, "handling");
        }
        RequestLoggingFuture {
            layer: self.layer,
            // Without a subscriber for it, the clock is not read.
            heard: tracing::enabled!(Level::WARN).then(|| (Instant::now(), call.clone())),
            inner: self.inner.call(call),
        }
    }
}

/// The type's own name, without the modules it is in.
fn name_of<R>() -> &'static str {
    let name = std::any::type_name::<R>();
    name.rsplit("::").next().unwrap_or(name)
}

pin_project! {
    /// The future of [`RequestLoggingService`].
    #[derive(Debug)]
    pub struct RequestLoggingFuture<F, R> {
        #[pin]
        inner: F,
        layer: RequestLoggingLayer<R>,
        // When it began, and of what it is to tell, if anybody hears it.
        heard: Option<(Instant, Call<R>)>,
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
        let Some((began, call)) = this.heard else {
            return Poll::Ready(result);
        };
        let RequestLoggingLayer {
            handler,
            around,
            fields,
        } = *this.layer;
        let (request, took) = (name_of::<R>(), began.elapsed());
        let request_id = id_beside_span(call.id(), call.context()).map(field::display);
        let is_delivered = call.context().message_id().is_some();
        match &result {
            Ok(_) => {
                // Around, they were written on the way in.
                let fields = fields.filter(|_| !around || !tracing::enabled!(Level::DEBUG));
                let fields = fields.map(|fields| field::debug(fields(call.request())));
                tracing::info!(request, handler, request_id, ?took, fields, "handled");
            }
            Err(_) if !around => {}
            // The handler decided so, or was spared: nothing went wrong here.
            Err(
                error @ (HandlerError::Action(_)
                | HandlerError::BrokenCircuit { .. }
                | HandlerError::InProgress { .. }),
            ) => {
                let outcome = error.report();
                match is_delivered {
                    true => tracing::debug!(request, handler, request_id, ?took, outcome, "not handled"),
                    false => tracing::info!(request, handler, request_id, ?took, outcome, "not handled"),
                }
            }
            Err(error) => {
                let error = error.report();
                match is_delivered {
                    true => tracing::debug!(request, handler, request_id, ?took, error, "failed"),
                    false => tracing::warn!(request, handler, request_id, ?took, error, "failed"),
                }
            }
        }
        Poll::Ready(result)
    }
}
