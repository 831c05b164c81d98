//! A [`Pipeline`]: a handler with its layers around it, typed inside and erased once.

mod batch;
mod erased;
#[cfg(feature = "testing")]
mod observed;
mod provided;
mod service;
mod step_layer;
#[cfg_attr(feature = "otel", path = "step_span/on.rs")]
#[cfg_attr(not(feature = "otel"), path = "step_span/off.rs")]
mod step_span;
mod steps;
mod transactional;
mod use_inbox;
mod wiring;

use std::sync::Arc;

pub(crate) use batch::BatchMembership;
pub use batch::{BatchLimits, BatchService, handle_alone};
pub use erased::Pipeline;
#[cfg(feature = "testing")]
pub(crate) use observed::Observer;
pub(crate) use provided::Provided;
pub use service::HandlerService;
pub use step_layer::{StepFuture, StepLayer, StepService};
pub use transactional::TransactionalHandlerService;
pub use use_inbox::InboxContext;
pub use wiring::{Step, StepDescription, Timing, Wiring, WiringError};

use brighter_core::request::Request;

/// How a handler's pipeline is put together: what `#[handler]` writes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be registered as a handler",
    label = "has no pipeline",
    note = "put `#[handler]` above `impl Handler<…> for {Self}`, or `#[handler(Request)]` above the struct"
)]
pub trait HandlerPipeline<R: Request>: Send + Sync + Sized + 'static {
    /// Wraps the handler in its layers, the innermost first.
    fn pipeline(handler: Arc<Self>, wiring: &mut Wiring<'_>) -> Pipeline<R>;
}

#[diagnostic::do_not_recommend]
impl<R: Request, H: HandlerPipeline<R>> HandlerPipeline<R> for Arc<H> {
    fn pipeline(handler: Arc<Self>, wiring: &mut Wiring<'_>) -> Pipeline<R> {
        H::pipeline(Arc::clone(&*handler), wiring)
    }
}
