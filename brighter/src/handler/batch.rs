//! [`Batch`]: several requests that one call handles, each with an outcome of its own.

use std::fmt;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brighter_core::context::Context;
use brighter_core::error::{BoxError, Defer, HandlerError, Reject};
use brighter_core::request::Request;

/// Handles requests of type `R`, several in one call: what `#[handler(batch(…))]` makes of an `impl Handler<R>`.
///
/// ```
/// use brighter::prelude::*;
///
/// #[derive(Debug, Serialize, Deserialize, Message)]
/// #[message(topic = "Reading")]
/// struct Reading { sensor: u32, value: f64 }
///
/// struct StoreReadings;
///
/// #[handler(batch(max = 100, within = "50ms"))]
/// impl Handler<Reading> for StoreReadings {
///     async fn handle(&self, batch: Batch<'_, Reading>) -> Result<(), BoxError> {
///         for (index, reading) in batch.iter().enumerate() {
///             if reading.value.is_nan() {
///                 batch.reject(index, "not a number");
///             }
///         }
///         // One INSERT for all others.
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle batches of `{R}`",
    label = "no batch handler of `{R}`",
    note = "write `#[handler(batch(max = 100, within = \"50ms\"))]` above `impl Handler<{R}> for {Self}`"
)]
pub trait BatchHandler<R: Request<Reply: NoReply>>: Send + Sync + 'static {
    /// The error of a call: any type that implements [`std::error::Error`], or [`BoxError`].
    type Error: Into<BoxError> + Send;

    /// Handles the requests of a batch.
    ///
    /// After `Ok` each request is handled, but for those that the handler gave another outcome by
    /// [`Batch::fail`], [`Batch::defer`] or [`Batch::reject`].
    ///
    /// # Errors
    /// The call failed as a whole, and no request counts as handled. Those with an outcome keep it. The others are handled
    /// by further calls: all of them together if some had an outcome, by halves otherwise, until the request that fails is
    /// alone. [`Defer`](crate::Defer) and [`DontAck`](crate::DontAck) are for all of them, without a further call.
    fn handle(
        &self,
        batch: Batch<'_, R>,
        cx: &Context,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The reply of a request that has none: `()`.
#[diagnostic::on_unimplemented(
    message = "a batch handler gives no replies, and this request has one: `{Self}`",
    label = "this request has a reply",
    note = "write `#[handler]` without `batch(…)`, or leave the reply out of the request"
)]
pub trait NoReply {
    /// The reply.
    fn no_reply() -> Self;
}

impl NoReply for () {
    fn no_reply() {}
}

/// Several requests that one call of a [`BatchHandler`] handles.
///
/// A request is known by its index in the batch, from 0. It is handled unless the handler says otherwise, and each is
/// settled by itself.
pub struct Batch<'a, R> {
    messages: &'a [(&'a R, &'a Context)],
    outcomes: &'a BatchOutcomes,
}

/// The handler's outcomes of the requests of one call.
pub(crate) struct BatchOutcomes(Mutex<Outcomes>);

struct Outcomes {
    of: Vec<Option<HandlerError>>,
    /// An index that is not in the batch.
    beyond: Option<usize>,
}

impl<'a, R> Batch<'a, R> {
    pub(crate) fn new(messages: &'a [(&'a R, &'a Context)], outcomes: &'a BatchOutcomes) -> Self {
        Self { messages, outcomes }
    }

    /// Returns how many requests there are: one at least, and as many as `max` of the attribute at most.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns whether there is no request, which never happens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns the requests, in the order in which they came to the batch.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a R> + use<'a, R> {
        self.messages.iter().map(|(request, _)| *request)
    }

    /// Returns the requests, each with the context of its message: for its id, its header, and for what is posted because
    /// of it alone.
    pub fn with_contexts(&self) -> impl ExactSizeIterator<Item = (&'a R, &'a Context)> + use<'a, R> {
        self.messages.iter().copied()
    }

    /// Returns the request at this index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a R> {
        self.messages.get(index).map(|(request, _)| *request)
    }

    /// Returns the context of the message at this index.
    #[must_use]
    pub fn context(&self, index: usize) -> Option<&'a Context> {
        self.messages.get(index).map(|(_, context)| *context)
    }

    /// Marks the request at this index as failed. Its message comes again as after any failure, and after its last
    /// attempt goes to the dead-letter channel. The error may be one of [`Defer`](crate::Defer),
    /// [`Reject`](crate::Reject), [`Invalid`](crate::Invalid) and [`DontAck`](crate::DontAck).
    ///
    /// An index that is not in the batch makes the call fail as a whole.
    pub fn fail(&self, index: usize, error: impl Into<BoxError>) {
        self.outcomes.set(index, HandlerError::from(error.into()));
    }

    /// Makes the message at this index come again after this delay, which counts as an attempt.
    pub fn defer(&self, index: usize, delay: Duration) {
        self.fail(index, Defer::after(delay));
    }

    /// Sends the message at this index to the dead-letter channel, for this reason.
    pub fn reject(&self, index: usize, reason: impl Into<String>) {
        self.fail(index, Reject::because(reason));
    }
}

impl<'a, R> IntoIterator for &Batch<'a, R> {
    type Item = &'a R;
    type IntoIter = std::vec::IntoIter<&'a R>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().collect::<Vec<_>>().into_iter()
    }
}

impl<R> fmt::Debug for Batch<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("request", &std::any::type_name::<R>())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl BatchOutcomes {
    /// Returns outcomes for this many requests, none of them set.
    pub(crate) fn new(requests: usize) -> Self {
        Self(Mutex::new(Outcomes {
            of: std::iter::repeat_with(|| None).take(requests).collect(),
            beyond: None,
        }))
    }

    fn set(&self, index: usize, error: HandlerError) {
        let mut outcomes = self.lock();
        match outcomes.of.get_mut(index) {
            Some(outcome) => *outcome = Some(error),
            None => outcomes.beyond = Some(index),
        }
    }

    /// Takes what was set, request by request.
    ///
    /// # Errors
    /// The handler set the outcome of a request that is not in the batch.
    pub(crate) fn take(&self) -> (Vec<Option<HandlerError>>, Result<(), NoSuchMessage>) {
        let mut outcomes = self.lock();
        let of = std::mem::take(&mut outcomes.of);
        let beyond = outcomes
            .beyond
            .take()
            .map(|index| NoSuchMessage { index, len: of.len() });
        (of, beyond.map_or(Ok(()), Err))
    }

    fn lock(&self) -> MutexGuard<'_, Outcomes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handler set the outcome of a message that is not in its batch.
#[derive(Debug, thiserror::Error)]
#[error(
    "the batch has {len} messages, counted from 0, and its handler set the outcome of message {index}; use the index of `batch.iter().enumerate()`"
)]
pub(crate) struct NoSuchMessage {
    index: usize,
    len: usize,
}
