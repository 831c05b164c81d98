//! [`call_in_parts`]: calls a batch handler, and again for parts of the batch when a call fails as a whole.

use std::any::type_name;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::gathering::{Gathering, Place};
use crate::handler::{Batch, BatchHandler, BatchOutcomes, NoReply};
use crate::telemetry::metrics::{Began, HandlerMetrics};
use crate::telemetry::spans;
use brighter_core::__private::{Op, panic_text, report};
use brighter_core::context::Context;
use brighter_core::error::{ActionKind, Defer, DontAck, HandlerError};
use brighter_core::request::Request;

/// Calls one batch handler.
pub(super) struct BatchCaller<H> {
    handler: Arc<H>,
    metrics: HandlerMetrics,
    /// How long one call may take.
    timeout: Option<Duration>,
}

/// The result of one call.
enum Called {
    /// An outcome for each message.
    Each(Vec<Result<(), HandlerError>>),
    /// The call failed, and these outcomes were set before.
    Failed(HandlerError, Vec<Option<HandlerError>>),
}

/// Handles these messages, and gives each its outcome.
///
/// A call that fails as a whole says nothing of a single message, unless the handler named those that fail. Otherwise the
/// batch is halved, until what fails is alone: of n messages one is found with 2·log₂ n further calls at most.
pub(super) async fn call_in_parts<H, R>(
    caller: &BatchCaller<H>,
    gathering: &Gathering<R>,
    places: Vec<Place<R>>,
) where
    R: Request<Reply: NoReply>,
    H: BatchHandler<R>,
{
    let mut parts = vec![places];
    while let Some(mut part) = parts.pop() {
        part.retain(|place| gathering.is_waited_for(place.index));
        if part.is_empty() {
            continue;
        }
        match caller.call(&part).await {
            Called::Each(outcomes) => {
                for (place, outcome) in part.iter().zip(outcomes) {
                    gathering.decide(place.index, outcome);
                }
            }
            Called::Failed(error, named) => parts.extend(parts_of(gathering, part, error, named)),
        }
    }
}

/// Decides what a call that failed has decided. Returns the parts that are to be called, the last first.
fn parts_of<R: Request>(
    gathering: &Gathering<R>,
    part: Vec<Place<R>>,
    error: HandlerError,
    named: Vec<Option<HandlerError>>,
) -> Vec<Vec<Place<R>>> {
    if let [only] = &*part
        && named.iter().all(Option::is_none)
    {
        gathering.decide(only.index, Err(error));
        return Vec::new();
    }
    let has_named = named.iter().any(Option::is_some);
    let mut rest = Vec::with_capacity(part.len());
    for (place, named) in part.into_iter().zip(named) {
        match named {
            Some(error) => gathering.decide(place.index, Err(error)),
            None => rest.push(place),
        }
    }
    if of_all(&error).is_some() {
        for place in rest {
            // Asked anew for each, as an error is for one.
            let error = of_all(&error).unwrap_or(HandlerError::Cancelled);
            gathering.decide(place.index, Err(error));
        }
        return Vec::new();
    }
    if has_named {
        return vec![rest];
    }
    let messages = rest.len();
    tracing::debug!(
        messages,
        error = error.report(),
        "batch failed as a whole; handling it in halves"
    );
    let second = rest.split_off(messages.div_ceil(2));
    vec![second, rest]
}

/// The error for each message of a call, if it is for all of them: more calls would not tell more.
fn of_all(error: &HandlerError) -> Option<HandlerError> {
    Some(match error {
        HandlerError::Action(action) => match action.kind() {
            ActionKind::Defer(Some(delay)) => {
                HandlerError::Action(Defer::after(delay).because(error.report()))
            }
            ActionKind::Defer(None) => HandlerError::Action(Defer::by_subscription().because(error.report())),
            ActionKind::DontAck => HandlerError::Action(DontAck::because(error.report())),
            // What ends a message is not taken from others.
            ActionKind::Reject | ActionKind::Invalid => return None,
        },
        HandlerError::BrokenCircuit {
            policy,
            retry_delay,
            retry,
        } => HandlerError::BrokenCircuit {
            policy: policy.clone(),
            retry_delay: *retry_delay,
            retry: retry.clone(),
        },
        HandlerError::Overloaded { policy, waited } => HandlerError::Overloaded {
            policy: policy.clone(),
            waited: *waited,
        },
        HandlerError::InProgress {
            id,
            context,
            retry_delay,
        } => HandlerError::InProgress {
            id: id.clone(),
            context: context.clone(),
            retry_delay: *retry_delay,
        },
        HandlerError::Inbox(source) => HandlerError::Inbox(report(&**source).into()),
        HandlerError::Cancelled => HandlerError::Cancelled,
        _ => return None,
    })
}

impl<H> BatchCaller<H> {
    pub(super) fn new(handler: Arc<H>, timeout: Option<Duration>) -> Self {
        Self {
            handler,
            metrics: HandlerMetrics::new(type_name::<H>()),
            timeout,
        }
    }

    async fn call<R>(&self, part: &[Place<R>]) -> Called
    where
        R: Request<Reply: NoReply>,
        H: BatchHandler<R>,
    {
        let op = spans::handle_batch(type_name::<H>(), part.iter().map(|place| &place.op), part.len());
        let began = Began::now();
        self.metrics.called(part.len());
        let outcomes = BatchOutcomes::new(part.len());
        let result = op.run(self.attempt(part, &outcomes)).await;
        let (named, known) = outcomes.take();
        let result = result.and_then(|()| known.map_err(|error| HandlerError::Failed(error.into())));
        let failed = result.as_ref().err().filter(|error| error.is_failure());
        let failed = failed.map(HandlerError::kind);
        self.told(&op, began, failed);
        match result {
            Ok(()) => Called::Each(named.into_iter().map(|error| error.map_or(Ok(()), Err)).collect()),
            Err(error) => Called::Failed(error, named),
        }
    }

    fn told(&self, op: &Op, began: Began, failed: Option<&'static str>) {
        if let Some(reason) = failed {
            op.failed(reason);
        }
        self.metrics.tried(began, failed);
    }

    async fn attempt<R>(&self, part: &[Place<R>], outcomes: &BatchOutcomes) -> Result<(), HandlerError>
    where
        R: Request<Reply: NoReply>,
        H: BatchHandler<R>,
    {
        brighter_core::__private::fault_point!("handler.before", HandlerError::Failed);
        let messages: Vec<_> = part
            .iter()
            .map(|place| (place.call().request(), place.call().context()))
            .collect();
        let cx = context_of(part);
        let handling = async { self.handler.handle(Batch::new(&messages, outcomes), &cx).await };
        let handling = AssertUnwindSafe(handling).catch_unwind();
        let handled = match self.timeout {
            Some(after) => tokio::time::timeout(after, handling)
                .await
                .map_err(|_| HandlerError::TimedOut { after })?,
            None => handling.await,
        };
        match handled {
            Ok(result) => result.map_err(|error| HandlerError::from(error.into()))?,
            Err(panic) => {
                return Err(HandlerError::Panicked {
                    message: panic_text(&*panic),
                });
            }
        }
        brighter_core::__private::fault_point!("handler.after", HandlerError::Failed);
        Ok(())
    }
}

/// The context of a call: of no message, so that what is posted with it has none of them for its cause.
fn context_of<R: Request>(part: &[Place<R>]) -> Context {
    let mut cx = Context::new();
    if let Some(of_first) = part.first().map(|first| first.call().context()) {
        if let Some(processor) = of_first.processor_slot() {
            cx = cx.with_processor(Arc::clone(processor));
        }
        if let Some(stop) = of_first.cancellation() {
            cx = cx.with_cancellation(Arc::clone(stop));
        }
    }
    cx
}
