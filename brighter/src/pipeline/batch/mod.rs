//! [`BatchService`]: the innermost service of a batch handler, which gathers messages and handles them in one call.
//!
//! Each message has a pipeline run of its own, with its own steps, span and outcome. Here, inside all steps, the runs meet:
//!
//! ```text
//! message ─▶ its steps ─┐
//! message ─▶ its steps ─┼─▶ Gathering ─▶ one call of the handler ─▶ an outcome for each message
//! message ─▶ its steps ─┘   max, within   (halves, if it fails)     ─▶ back through its steps ─▶ its settlement
//! ```
//!
//! So a step decides about one message, whatever the others are, and a message is settled as any other. Messages are
//! gathered from all performers of the process. Nothing is kept here: a message is in memory because a performer has it in
//! hand, and leaves when that performer lets it go.

mod calling;
mod gathering;

use std::any::type_name;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use tower::Service;

use self::calling::{BatchCaller, call_in_parts};
use self::gathering::{Gathering, Place};
use super::service::handling;
use crate::handler::{Batch, BatchHandler, BatchOutcomes, Call, NoReply};
use brighter_core::context::Context;
use brighter_core::error::{BoxError, HandlerError};
use brighter_core::request::Request;

/// How a batch handler is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatchLimits {
    /// How many messages one call handles at most.
    pub max: usize,
    /// How long the first message of a batch waits for others.
    pub within: Duration,
    /// How long one call may take, by `#[timeout]`.
    pub timeout: Option<Duration>,
}

impl fmt::Display for BatchLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch of {} within {:?}", self.max, self.within)
    }
}

/// In the context of a message that a performer has in hand: whether it may share a call with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchMembership {
    Shared,
    /// The message is handled alone, as it may be what ends the process, or as this is its last attempt.
    Alone,
}

/// The innermost service of a pipeline whose handler handles batches.
pub struct BatchService<H, R: Request>(Arc<Inner<H, R>>);

struct Inner<H, R: Request> {
    caller: Arc<BatchCaller<H>>,
    limits: BatchLimits,
    /// The batch that is being gathered.
    open: Mutex<Option<Arc<Gathering<R>>>>,
}

impl<H, R: Request> BatchService<H, R> {
    pub(super) fn new(handler: Arc<H>, limits: BatchLimits) -> Self {
        Self(Arc::new(Inner {
            caller: Arc::new(BatchCaller::new(handler, limits.timeout)),
            limits,
            open: Mutex::default(),
        }))
    }
}

impl<H, R: Request> Clone for BatchService<H, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H, R: Request> fmt::Debug for BatchService<H, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchService")
            .field("handler", &type_name::<H>())
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

impl<H, R> Service<Call<R>> for BatchService<H, R>
where
    R: Request<Reply: NoReply>,
    H: BatchHandler<R>,
{
    type Response = R::Reply;
    type Error = HandlerError;
    type Future = BoxFuture<'static, Result<R::Reply, HandlerError>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        let op = handling(type_name::<H>(), call.context());
        Box::pin(op.clone().run(async move {
            let place = inner.join(Place::new(call, op.clone()));
            let result = place.await;
            let error = result.as_ref().err().filter(|error| error.is_failure());
            if let Some(reason) = error.map(HandlerError::kind) {
                op.failed(reason);
            }
            result.map(|()| R::Reply::no_reply())
        }))
    }
}

impl<H, R> Inner<H, R>
where
    R: Request<Reply: NoReply>,
    H: BatchHandler<R>,
{
    /// Gives a message its place in the batch that is being gathered. A request that was made in this process is a batch
    /// of its own.
    fn join(self: Arc<Self>, place: Place<R>) -> gathering::BatchMember<R> {
        let membership = place.call().context().get::<BatchMembership>();
        if membership.is_none_or(|membership| *membership == BatchMembership::Alone) || self.limits.max == 1 {
            return self.begin(place, 1).1;
        }
        let mut open = lock(&self.open);
        let place = match &*open {
            Some(gathering) => match Gathering::join(gathering, place) {
                Ok(member) => return member,
                Err(place) => place,
            },
            None => place,
        };
        let (gathering, member) = Arc::clone(&self).begin(place, self.limits.max);
        *open = Some(gathering);
        member
    }

    /// Begins a batch with this message.
    fn begin(self: Arc<Self>, first: Place<R>, max: usize) -> (Arc<Gathering<R>>, gathering::BatchMember<R>) {
        let within = self.limits.within;
        Gathering::begin(first, max, |gathering| {
            Box::pin(async move {
                gathering.full_or_over(within).await;
                self.forget(&gathering);
                let places = gathering.close();
                let caller = Arc::clone(&self.caller);
                // The batch holds on to the handler, and not to what gathers the next one.
                drop(self);
                call_in_parts(&caller, &gathering, places).await;
            })
        })
    }

    fn forget(&self, gathering: &Arc<Gathering<R>>) {
        let mut open = lock(&self.open);
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, gathering)) {
            *open = None;
        }
    }
}

/// Handles one request by a batch handler, outside of any pipeline.
///
/// # Errors
/// The error of the call, or what the handler said of the request.
pub async fn handle_alone<H, R>(handler: &H, request: &R, cx: &Context) -> Result<R::Reply, BoxError>
where
    R: Request<Reply: NoReply>,
    H: BatchHandler<R>,
{
    let outcomes = BatchOutcomes::new(1);
    let messages = [(request, cx)];
    let called = handler.handle(Batch::new(&messages, &outcomes), cx).await;
    let (of, known) = outcomes.take();
    if let Some(error) = of.into_iter().flatten().next() {
        return Err(error.into());
    }
    called.map_err(Into::into)?;
    known?;
    Ok(R::Reply::no_reply())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
