//! `#[monitor]`: tells a sink what goes in and what comes out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service, ServiceExt};

use crate::handler::Call;
use brighter_core::error::HandlerError;
use brighter_core::id::MessageId;
use brighter_core::request::Request;

/// A receiver of the events of `#[monitor]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no sink for what `#[monitor]` sees",
    label = "no `MonitorSink`",
    note = "write `impl MonitorSink for {Self} {{ fn record(&self, event: &MonitorEvent) {{ … }} }}`"
)]
pub trait MonitorSink: Send + Sync + 'static {
    /// Takes note of one event, within the call that it is about: it does not wait for anything.
    fn record(&self, event: &MonitorEvent);
}

#[diagnostic::do_not_recommend]
impl<T: MonitorSink + ?Sized> MonitorSink for Arc<T> {
    fn record(&self, event: &MonitorEvent) {
        T::record(self, event);
    }
}

/// An event of `#[monitor]`. It has the type and the id of the request, never its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorEvent {
    /// The type of the handler.
    pub handler: &'static str,
    /// The type of the request.
    pub request: &'static str,
    /// The id of the request, or of the message that brought it, if it has one.
    pub message_id: Option<MessageId>,
    /// Which delivery of the message this is.
    pub attempt: u32,
    /// The kind of the event, with its data.
    pub kind: MonitorEventKind,
}

/// The kind of an event of `#[monitor]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MonitorEventKind {
    /// The request went in.
    Enter,
    /// The handler succeeded.
    Exit {
        /// Since it went in.
        elapsed: Duration,
    },
    /// The handler failed.
    Failure {
        /// Since it went in.
        elapsed: Duration,
        /// The error with its causes.
        error: String,
    },
    /// Nobody waits for it any more, as after a timeout around this; or it panicked.
    Abandoned {
        /// Since it went in.
        elapsed: Duration,
    },
}

/// The layer of `#[monitor]`.
#[derive(Clone)]
pub struct MonitorLayer {
    handler: &'static str,
    sink: Option<Arc<dyn MonitorSink>>,
}

impl MonitorLayer {
    pub(crate) fn new(handler: &'static str, sink: Option<Arc<dyn MonitorSink>>) -> Self {
        Self { handler, sink }
    }
}

impl fmt::Debug for MonitorLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorLayer")
            .field("handler", &self.handler)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for MonitorLayer {
    type Service = MonitorService<S>;

    fn layer(&self, inner: S) -> MonitorService<S> {
        MonitorService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service of [`MonitorLayer`].
#[derive(Debug, Clone)]
pub struct MonitorService<S> {
    inner: S,
    layer: MonitorLayer,
}

impl<S, R> Service<Call<R>> for MonitorService<S>
where
    S: Service<Call<R>, Error = HandlerError> + Clone,
    R: Request,
{
    type Response = S::Response;
    type Error = HandlerError;
    type Future = MonitorFuture<Oneshot<S, Call<R>>, R>;

    /// Always: the wait until what is inside is ready is part of what is watched.
    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let watch = MonitoredCall {
            layer: self.layer.clone(),
            began: Instant::now(),
            call: call.clone(),
            is_over: false,
        };
        watch.record(|_| MonitorEventKind::Enter);
        MonitorFuture {
            inner: self.inner.clone().oneshot(call),
            watch,
        }
    }
}

pin_project! {
    /// The future of [`MonitorService`].
    pub struct MonitorFuture<F, R>
    where
        R: Request,
    {
        #[pin]
        inner: F,
        watch: MonitoredCall<R>,
    }
}

impl<F, R, T> Future for MonitorFuture<F, R>
where
    F: Future<Output = Result<T, HandlerError>>,
    R: Request,
{
    type Output = Result<T, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(task));
        this.watch.is_over = true;
        this.watch.record(|elapsed| match &result {
            Ok(_) => MonitorEventKind::Exit { elapsed },
            Err(error) => MonitorEventKind::Failure {
                elapsed,
                error: error.report(),
            },
        });
        Poll::Ready(result)
    }
}

impl<F, R: Request> fmt::Debug for MonitorFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorFuture").finish_non_exhaustive()
    }
}

/// One call that is watched, to its end or until it is dropped.
struct MonitoredCall<R: Request> {
    layer: MonitorLayer,
    began: Instant,
    call: Call<R>,
    is_over: bool,
}

impl<R: Request> MonitoredCall<R> {
    fn record(&self, kind: impl FnOnce(Duration) -> MonitorEventKind) {
        let Some(sink) = &self.layer.sink else { return };
        let context = self.call.context();
        sink.record(&MonitorEvent {
            handler: self.layer.handler,
            request: std::any::type_name::<R>(),
            message_id: self.call.id().cloned(),
            attempt: context.attempt(),
            kind: kind(self.began.elapsed()),
        });
    }
}

impl<R: Request> Drop for MonitoredCall<R> {
    fn drop(&mut self) {
        if !self.is_over {
            self.record(|elapsed| MonitorEventKind::Abandoned { elapsed });
        }
    }
}
