//! [`RetrySignal`]: tells when a refused call may be tried again.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// Tells when a refused call may be tried again, from
/// [`HandlerError::BrokenCircuit`](super::HandlerError::BrokenCircuit).
///
/// A delay tells when a state is expected to change. A signal tells when it has changed, which may be sooner. Waiting
/// callers get their turns in the order in which they began to wait, and only as many as are allowed.
///
/// ```
/// use brighter::error::{HandlerError, RetryTurn};
///
/// # async fn try_once() -> Result<(), HandlerError> { Ok(()) }
/// # async fn example() -> Result<(), HandlerError> {
/// let mut turn: Option<RetryTurn> = None;
/// loop {
///     let result = try_once().await;
///     // Another caller may have a turn that was not used.
///     drop(turn.take());
///     turn = match result {
///         Err(HandlerError::BrokenCircuit { retry: Some(retry), .. }) => Some(retry.wait().await),
///         other => return other,
///     };
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct RetrySignal(Arc<dyn Fn() -> BoxFuture<'static, RetryTurn> + Send + Sync>);

impl RetrySignal {
    /// Returns a signal. Each caller that waits gets a future of its own from `wait`.
    pub fn new<F>(wait: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = RetryTurn> + Send + 'static,
    {
        Self(Arc::new(move || wait().boxed()))
    }

    /// Waits until the caller may try again. Dropping the future gives its place to the next caller.
    ///
    /// The wait may be long: a circuit that a person holds open stays open until a person closes it.
    pub async fn wait(&self) -> RetryTurn {
        (self.0)().await
    }
}

impl fmt::Debug for RetrySignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RetrySignal")
    }
}

/// The turn of one caller to try again. Keep it until the attempt has ended. The unused part of a dropped turn goes to
/// the next waiting caller.
#[must_use = "the turn goes to the next caller when it is dropped"]
pub struct RetryTurn {
    _guard: Option<Box<dyn Send>>,
}

impl RetryTurn {
    /// Returns a turn that drops `guard` when it ends.
    pub fn new(guard: impl Send + 'static) -> Self {
        Self {
            _guard: Some(Box::new(guard)),
        }
    }

    /// Returns a turn whose end is not tracked.
    pub fn untracked() -> Self {
        Self { _guard: None }
    }
}

impl fmt::Debug for RetryTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RetryTurn")
    }
}
