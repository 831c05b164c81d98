//! [`TransactionalHandler`]: a handler that is given a transaction.

use std::future::Future;
use std::sync::Arc;

use brighter_core::context::Context;
use brighter_core::error::BoxError;
use brighter_core::request::Request;

/// Handles requests of type `R` in a transaction, which `#[transactional]` begins and commits.
///
/// `#[handler]` writes an `impl Handler<R>` whose `handle` has a parameter `tx: &mut …` as an impl of this trait. The
/// method may leave out `cx`, and the impl leaves out the two types.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # mod example {
/// use brighter::prelude::*;
/// use sqlx::SqliteTransaction;
///
/// #[derive(Debug, Command)]
/// struct Pay { id: MessageId, cents: i64 }
///
/// struct PayHandler;
///
/// #[handler]
/// impl Handler<Pay> for PayHandler {
///     #[transactional(step = 1)]
///     async fn handle(&self, pay: &Pay, tx: &mut SqliteTransaction<'_>) -> Result<(), sqlx::Error> {
///         sqlx::query("INSERT INTO payments (cents) VALUES (?)").bind(pay.cents).execute(&mut **tx).await?;
///         Ok(())
///     }
/// }
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{R}` in a transaction",
    label = "`#[transactional]` passes a transaction to `handle`, which does not take it",
    note = "write `#[handler(on_struct)]` above `impl Handler<{R}> for {Self}`, and `async fn handle(&self, request: &{R}, tx: &mut …)` in it; or remove `#[transactional]`"
)]
pub trait TransactionalHandler<R: Request>: Send + Sync + 'static {
    /// The transaction, such as `sqlx::PgTransaction<'static>`.
    type Transaction: Send + 'static;
    /// The error of a handler: see [`Handler::Error`](super::Handler::Error).
    type Error: Into<BoxError> + Send;

    /// Handles one request in this transaction, which is committed if the result is `Ok`, and rolled back otherwise.
    ///
    /// # Errors
    /// Whatever the handler cannot do: see [`Handler::handle`](super::Handler::handle).
    fn handle(
        &self,
        request: &R,
        tx: &mut Self::Transaction,
        cx: &Context,
    ) -> impl Future<Output = Result<R::Reply, Self::Error>> + Send;
}

#[diagnostic::do_not_recommend]
impl<R: Request, H: TransactionalHandler<R>> TransactionalHandler<R> for Arc<H> {
    type Transaction = H::Transaction;
    type Error = H::Error;

    fn handle(
        &self,
        request: &R,
        tx: &mut Self::Transaction,
        cx: &Context,
    ) -> impl Future<Output = Result<R::Reply, Self::Error>> + Send {
        H::handle(self, request, tx, cx)
    }
}
