//! `#[reject_on_error]`, `#[defer_on_error]`, `#[dont_ack_on_error]`: what becomes of a message whose handler
//! failed, whatever the error.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service, ServiceExt};

use crate::handler::Call;
use brighter_core::error::{ActionKind, HandlerError};

/// The layer of a backstop: every error becomes a pump action, with the error as its cause.
///
/// What is a pump action already passes through, and so does the end of the process
/// ([`Cancelled`](HandlerError::Cancelled)), a request that another delivery of it is handling
/// ([`InProgress`](HandlerError::InProgress)), an inbox that is away ([`Inbox`](HandlerError::Inbox)), and a database
/// that is away when a transaction begins or ends ([`Transaction`](HandlerError::Transaction)): the handler did not fail.
#[derive(Debug, Clone, Copy)]
pub struct BackstopLayer {
    kind: ActionKind,
}

impl BackstopLayer {
    pub(crate) fn new(kind: ActionKind) -> Self {
        Self { kind }
    }
}

impl<S> Layer<S> for BackstopLayer {
    type Service = BackstopService<S>;

    fn layer(&self, inner: S) -> BackstopService<S> {
        BackstopService {
            inner,
            kind: self.kind,
        }
    }
}

/// The service of [`BackstopLayer`].
#[derive(Debug, Clone)]
pub struct BackstopService<S> {
    inner: S,
    kind: ActionKind,
}

impl<S, R> Service<Call<R>> for BackstopService<S>
where
    S: Service<Call<R>, Error = HandlerError> + Clone,
{
    type Response = S::Response;
    type Error = HandlerError;
    type Future = BackstopFuture<Oneshot<S, Call<R>>>;

    /// Always: an error of becoming ready is one to stop, too.
    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        BackstopFuture {
            inner: self.inner.clone().oneshot(call),
            kind: self.kind,
        }
    }
}

pin_project! {
    /// The future of [`BackstopService`].
    #[derive(Debug)]
    pub struct BackstopFuture<F> {
        #[pin]
        inner: F,
        kind: ActionKind,
    }
}

impl<F, T> Future for BackstopFuture<F>
where
    F: Future<Output = Result<T, HandlerError>>,
{
    type Output = Result<T, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let kind = *this.kind;
        this.inner.poll(task).map_err(|error| error.stopped_by(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_core::context::Context;
    use brighter_core::error::{BoxError, PumpAction, Reject};

    async fn stopped(error: impl Into<BoxError>) -> HandlerError {
        let error = std::sync::Mutex::new(Some(HandlerError::from(error.into())));
        let error = std::sync::Arc::new(error);
        let failing = tower::service_fn(move |_: Call<()>| {
            let error = error.lock().unwrap().take().unwrap();
            std::future::ready(Err::<(), _>(error))
        });
        BackstopLayer::new(ActionKind::DontAck)
            .layer(failing)
            .oneshot(Call::new((), Context::new()))
            .await
            .unwrap_err()
    }

    #[tokio::test]
    async fn an_error_becomes_the_action_and_stays_its_cause() {
        let error = stopped(std::io::Error::other("disk")).await;
        assert_eq!(error.action().map(PumpAction::kind), Some(ActionKind::DontAck));
        assert_eq!(error.report(), "not acknowledged: disk");
        let broken = HandlerError::BrokenCircuit {
            policy: "mail".to_owned(),
            retry_delay: std::time::Duration::from_secs(1),
            retry: None,
        };
        let error = stopped(broken).await;
        assert_eq!(error.action().map(PumpAction::kind), Some(ActionKind::DontAck));
    }

    #[tokio::test]
    async fn actions_and_shutdown_pass_through_the_fallback() {
        let error = stopped(Reject::because("no")).await;
        assert_eq!(error.action().map(PumpAction::kind), Some(ActionKind::Reject));
        assert!(matches!(
            stopped(HandlerError::Cancelled).await,
            HandlerError::Cancelled
        ));
    }
}
