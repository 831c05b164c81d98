//! [`HandlerService`]: the innermost service, which calls the handler.

use std::any::type_name;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use futures_util::future::BoxFuture;
use tower::Service;

use crate::handler::{Call, Handler};
use crate::telemetry::metrics::{Began, HandlerMetrics};
use brighter_core::__private::{Op, op, short};
use brighter_core::context::Context;
use brighter_core::error::HandlerError;
use brighter_core::request::Request;

/// The innermost service of a pipeline: calls the handler.
///
/// The handler's future has no name, so it is boxed here; the layers around it need no box.
#[derive(Debug)]
pub struct HandlerService<H>(Arc<H>, Attempts);

impl<H> HandlerService<H> {
    /// The service of this handler.
    pub fn new(handler: Arc<H>) -> Self {
        Self(handler, Attempts::of::<H>())
    }
}

/// The telemetry of each attempt of a handler: a span, and the metrics.
#[derive(Debug, Clone)]
pub(super) struct Attempts {
    metrics: HandlerMetrics,
    handler: &'static str,
}

impl Attempts {
    pub(super) fn of<H>() -> Self {
        let handler = type_name::<H>();
        Self {
            metrics: HandlerMetrics::new(handler),
            handler,
        }
    }

    /// Runs one attempt.
    pub(super) fn run<T, F>(
        &self,
        cx: &Context,
        attempt: F,
    ) -> impl Future<Output = Result<T, HandlerError>> + use<T, F>
    where
        F: Future<Output = Result<T, HandlerError>>,
    {
        let (metrics, began) = (self.metrics.clone(), Began::now());
        let op = handling(self.handler, cx);
        op.clone().run(async move {
            let result = attempt.await;
            let error = result.as_ref().err().filter(|error| error.is_failure());
            let failed = error.map(HandlerError::kind);
            if let Some(reason) = failed {
                op.failed(reason);
            }
            metrics.tried(began, failed);
            result
        })
    }
}

impl<H> Clone for HandlerService<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), self.1.clone())
    }
}

impl<R: Request, H: Handler<R>> Service<Call<R>> for HandlerService<H> {
    type Response = R::Reply;
    type Error = HandlerError;
    type Future = BoxFuture<'static, Result<R::Reply, HandlerError>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let handler = Arc::clone(&self.0);
        let attempt = {
            let call = call.clone();
            async move { attempt(&*handler, &call).await }
        };
        Box::pin(self.1.run(call.context(), attempt))
    }
}

async fn attempt<R: Request, H: Handler<R>>(handler: &H, call: &Call<R>) -> Result<R::Reply, HandlerError> {
    brighter_core::__private::fault_point!("handler.before", HandlerError::Failed);
    let result = handler.handle(call.request(), call.context()).await;
    let reply = result.map_err(|error| HandlerError::from(error.into()))?;
    brighter_core::__private::fault_point!("handler.after", HandlerError::Failed);
    Ok(reply)
}

/// One attempt of the handler.
pub(super) fn handling(handler: &'static str, cx: &Context) -> Op {
    let op = op!("handler");
    op.describe(|span| {
        span.rename(format!("handle {}", short(handler)));
        span.set("brighter.handler", handler);
        span.set("brighter.attempt", i64::from(cx.attempt()));
    });
    cx.handled_within(&op);
    op
}
