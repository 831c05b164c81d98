//! A [`Pipeline`]: a handler with its layers around it, typed inside and erased once.

#[cfg(feature = "testing")]
mod observed;
mod provided;
mod service;
#[cfg(feature = "otel")]
mod step_layer;
mod steps;
mod use_inbox;
mod wiring;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::{Service, ServiceExt};

#[cfg(feature = "testing")]
pub(crate) use observed::Observer;
pub(crate) use provided::Provided;
pub use service::HandlerService;
#[cfg(feature = "otel")]
pub use step_layer::{StepLayer, StepService};
pub use use_inbox::InboxContext;
pub use wiring::{Step, StepDescription, Timing, Wiring, WiringError};

use crate::handler::{Call, Handler};
use brighter_core::__private::panic_text;
use brighter_core::error::HandlerError;
use brighter_core::request::Request;

/// A layer as [`Wiring`] hands it out.
#[cfg(not(feature = "otel"))]
pub type StepLayer<L> = L;

/// How a handler's pipeline is put together: what `#[handler]` writes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be registered as a handler",
    label = "has no pipeline",
    note = "put `#[handler]` above `impl Handler<…> for {Self}`, or `#[handler(Request)]` above the struct"
)]
pub trait HandlerPipeline<R: Request>: Handler<R> + Sized {
    /// Wraps the handler in its layers, the innermost first.
    fn pipeline(handler: Arc<Self>, wiring: &mut Wiring<'_>) -> Pipeline<R>;
}

#[diagnostic::do_not_recommend]
impl<R: Request, H: HandlerPipeline<R>> HandlerPipeline<R> for Arc<H> {
    fn pipeline(handler: Arc<Self>, wiring: &mut Wiring<'_>) -> Pipeline<R> {
        H::pipeline(Arc::clone(&*handler), wiring)
    }
}

/// A handler with its layers around it. The types of the layers are gone, those of request and reply are not.
pub struct Pipeline<R: Request>(Box<dyn DynPipeline<R>>);

/// The one place where a pipeline's types are erased, and so its one box a call.
trait DynPipeline<R: Request>: Send + Sync {
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
