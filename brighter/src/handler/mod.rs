//! [`Handler`]: what an application writes.

mod batch;
mod call;
mod transaction_slot;
mod transactional;

use std::future::Future;
use std::sync::Arc;

pub(crate) use batch::BatchOutcomes;
pub use batch::{Batch, BatchHandler, NoReply};
pub use call::Call;
pub(crate) use transaction_slot::TransactionSlot;
pub use transactional::TransactionalHandler;

use brighter_core::context::Context;
use brighter_core::error::BoxError;
use brighter_core::request::Request;

/// Handles requests of type `R`.
///
/// Under `#[handler]` the method may leave out `cx`, and the impl may leave out `type Error`. If the compiler
/// asks for a third parameter or for `type Error`, `#[handler]` is missing above the impl.
///
/// ```
/// use brighter::prelude::*;
///
/// #[derive(Debug, Command)]
/// struct Greet { name: String }
///
/// struct GreetHandler;
///
/// #[handler]
/// impl Handler<Greet> for GreetHandler {
///     #[request_logging(step = 1)]
///     async fn handle(&self, greet: &Greet) -> Result<(), std::io::Error> {
///         println!("Hello, {}", greet.name);
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{R}`",
    label = "no `Handler<{R}>` for this type",
    note = "write `#[handler] impl Handler<{R}> for {Self} {{ async fn handle(&self, request: &{R}) -> Result<(), …> {{ … }} }}`"
)]
pub trait Handler<R: Request>: Send + Sync + 'static {
    /// The error of a handler: any type that implements [`std::error::Error`], by `thiserror` for instance, or
    /// [`BoxError`], or `anyhow::Error`.
    type Error: Into<BoxError> + Send;

    /// Handles one request.
    ///
    /// # Errors
    /// Whatever the handler cannot do. On a consumer an error means that the message comes again, and after
    /// the last attempt goes to the dead-letter channel; [`Defer`](crate::Defer), [`Reject`](crate::Reject),
    /// [`Invalid`](crate::Invalid) and [`DontAck`](crate::DontAck) ask for something else.
    fn handle(&self, request: &R, cx: &Context)
    -> impl Future<Output = Result<R::Reply, Self::Error>> + Send;
}

#[diagnostic::do_not_recommend]
impl<R: Request, H: Handler<R>> Handler<R> for Arc<H> {
    type Error = H::Error;

    fn handle(
        &self,
        request: &R,
        cx: &Context,
    ) -> impl Future<Output = Result<R::Reply, Self::Error>> + Send {
        H::handle(self, request, cx)
    }
}
