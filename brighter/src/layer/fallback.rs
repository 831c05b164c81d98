//! `#[fallback]`: another method of the handler, for when what is inside failed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};

use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service, ServiceExt};

use crate::handler::Call;
use brighter_core::error::{BoxError, HandlerError};
use brighter_core::request::Request;

/// After what a fallback is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FallbackOn {
    /// Any error but a pump action, the end of the process, a transaction that could not be begun or committed, and what
    /// the inbox says: that it is away, that the request is being handled or was handled before, or that its id is used
    /// twice.
    Any,
    /// A circuit breaker inside was open.
    BrokenCircuit,
}

impl FallbackOn {
    fn catches(self, error: &HandlerError) -> bool {
        match self {
            Self::Any => !matches!(
                error,
                HandlerError::Action(_)
                    | HandlerError::Cancelled
                    | HandlerError::InProgress { .. }
                    | HandlerError::Inbox(_)
                    | HandlerError::Transaction(_)
                    | HandlerError::Duplicate { .. }
                    | HandlerError::Collision { .. }
            ),
            Self::BrokenCircuit => matches!(error, HandlerError::BrokenCircuit { .. }),
        }
    }
}

impl fmt::Display for FallbackOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::BrokenCircuit => "broken_circuit",
        })
    }
}

/// A method that can be a fallback: `async fn (&self, request: &R, error: &HandlerError) -> Result<R::Reply, E>`.
#[diagnostic::on_unimplemented(
    message = "this method cannot be a fallback for `{R}`",
    label = "of another form than a fallback has",
    note = "write `async fn …(&self, request: &{R}, error: &HandlerError) -> Result<…, …>`, with the reply of `handle` and any error type; its future is `Send`"
)]
pub trait FallbackMethod<'a, H, R: Request>: Send + Sync + 'static {
    /// Calls it.
    fn call(
        &self,
        handler: &'a H,
        request: &'a R,
        error: &'a HandlerError,
    ) -> BoxFuture<'a, Result<R::Reply, HandlerError>>;
}

#[diagnostic::do_not_recommend]
impl<'a, H, R, F, Outcome, E> FallbackMethod<'a, H, R> for F
where
    H: 'a,
    R: Request,
    F: Fn(&'a H, &'a R, &'a HandlerError) -> Outcome + Send + Sync + 'static,
    Outcome: Future<Output = Result<R::Reply, E>> + Send + 'a,
    E: Into<BoxError>,
{
    fn call(
        &self,
        handler: &'a H,
        request: &'a R,
        error: &'a HandlerError,
    ) -> BoxFuture<'a, Result<R::Reply, HandlerError>> {
        let outcome = self(handler, request, error);
        Box::pin(async move { outcome.await.map_err(|error| HandlerError::from(error.into())) })
    }
}

type StoredMethod<R> = dyn Fn(Call<R>, HandlerError) -> BoxFuture<'static, Result<<R as Request>::Reply, HandlerError>>
    + Send
    + Sync;

/// The layer of `#[fallback]`.
pub struct FallbackLayer<R: Request> {
    on: FallbackOn,
    method: Arc<StoredMethod<R>>,
}

impl<R: Request> FallbackLayer<R> {
    pub(crate) fn new<H, M>(on: FallbackOn, handler: Arc<H>, method: M) -> Self
    where
        H: Send + Sync + 'static,
        M: for<'a> FallbackMethod<'a, H, R>,
    {
        let method = Arc::new(method);
        // A call that succeeds comes past no box of this.
        let method = move |call: Call<R>, error: HandlerError| {
            let (handler, method) = (Arc::clone(&handler), Arc::clone(&method));
            let fallback = async move { method.call(&handler, call.request(), &error).await };
            Box::pin(fallback) as BoxFuture<'static, _>
        };
        Self {
            on,
            method: Arc::new(method),
        }
    }
}

impl<R: Request> Clone for FallbackLayer<R> {
    fn clone(&self) -> Self {
        Self {
            on: self.on,
            method: Arc::clone(&self.method),
        }
    }
}

impl<R: Request> fmt::Debug for FallbackLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer")
            .field("on", &self.on)
            .finish_non_exhaustive()
    }
}

impl<S, R: Request> Layer<S> for FallbackLayer<R> {
    type Service = FallbackService<S, R>;

    fn layer(&self, inner: S) -> FallbackService<S, R> {
        FallbackService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service of [`FallbackLayer`].
#[derive(Debug)]
pub struct FallbackService<S, R: Request> {
    inner: S,
    layer: FallbackLayer<R>,
}

impl<S: Clone, R: Request> Clone for FallbackService<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S, R> Service<Call<R>> for FallbackService<S, R>
where
    R: Request,
    S: Service<Call<R>, Response = R::Reply, Error = HandlerError> + Clone,
{
    type Response = R::Reply;
    type Error = HandlerError;
    type Future = FallbackFuture<Oneshot<S, Call<R>>, R>;

    /// Always: an error of becoming ready has a fallback, too.
    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        FallbackFuture {
            state: State::Trying {
                inner: self.inner.clone().oneshot(call.clone()),
            },
            layer: self.layer.clone(),
            call,
        }
    }
}

pin_project! {
    /// The future of [`FallbackService`].
    pub struct FallbackFuture<F, R>
    where
        R: Request,
    {
        #[pin]
        state: State<F, R>,
        layer: FallbackLayer<R>,
        call: Call<R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, R>
    where
        R: Request,
    {
        Trying { #[pin] inner: F },
        FallenBack { fallback: BoxFuture<'static, Result<R::Reply, HandlerError>> },
    }
}

impl<F, R> Future for FallbackFuture<F, R>
where
    F: Future<Output = Result<R::Reply, HandlerError>>,
    R: Request,
{
    type Output = Result<R::Reply, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let error = match this.state.as_mut().project() {
                StateProj::FallenBack { fallback } => return fallback.as_mut().poll(task),
                StateProj::Trying { inner } => match ready!(inner.poll(task)) {
                    Err(error) if this.layer.on.catches(&error) => error,
                    result => return Poll::Ready(result),
                },
            };
            let fallback = (this.layer.method)(this.call.clone(), error);
            this.state.set(State::FallenBack { fallback });
        }
    }
}

impl<F, R: Request> fmt::Debug for FallbackFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackFuture").finish_non_exhaustive()
    }
}
