//! [`Pipeline`]: where the types of a handler's layers are erased, once.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::{Service, ServiceExt};

use crate::handler::Call;
use brighter_core::__private::panic_text;
use brighter_core::error::HandlerError;
use brighter_core::request::Request;

/// A handler with its layers around it. The types of the layers are gone, those of request and reply are not.
pub struct Pipeline<R: Request>(pub(super) Box<dyn DynPipeline<R>>);

/// The one place where a pipeline's types are erased, and so its one box a call.
pub(super) trait DynPipeline<R: Request>: Send + Sync {
    fn call(&self, call: Call<R>) -> BoxFuture<'static, Result<R::Reply, HandlerError>>;
}

impl<R, S> DynPipeline<R> for S
where
    R: Request,
    S: Service<Call<R>, Response = R::Reply, Error = HandlerError> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    fn call(&self, call: Call<R>) -> BoxFuture<'static, Result<R::Reply, HandlerError>> {
        // A clone of its own, polled ready and then called: readiness is never another caller's. A panic in a
        // handler or a layer ends this call, not the task that brought it.
        let future = AssertUnwindSafe(self.clone().oneshot(call)).catch_unwind();
        Box::pin(future.map(|result| result.unwrap_or_else(|panic| Err(panicked(&*panic)))))
    }
}

fn panicked(panic: &(dyn Any + Send)) -> HandlerError {
    HandlerError::Panicked {
        message: panic_text(panic),
    }
}

impl<R: Request> Pipeline<R> {
    /// Erases the types of a stack of layers.
    pub fn new<S>(stack: S) -> Self
    where
        S: Service<Call<R>, Response = R::Reply, Error = HandlerError> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        Self(Box::new(stack))
    }

    /// Sends one call through.
    pub(crate) fn call(&self, call: Call<R>) -> BoxFuture<'static, Result<R::Reply, HandlerError>> {
        self.0.call(call)
    }
}
