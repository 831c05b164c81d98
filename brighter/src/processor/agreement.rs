//! An agreement: which of several handlers a request goes to, by what is in it.

use std::any::{TypeId, type_name};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::registered_handler::RegisteredHandler;
use brighter_core::context::Context;
use brighter_core::error::HandlerError;
use brighter_core::request::Request;

/// The handler that a request goes to, for [`CommandProcessorBuilder::agreement`](super::CommandProcessorBuilder::agreement).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    handler: TypeId,
    name: &'static str,
}

impl Choice {
    /// The handler of type `H`, as it was given to `.handler(…)`: one in an `Arc` is of another type than one that is
    /// not.
    #[must_use]
    pub fn of<H: 'static>() -> Self {
        Self {
            handler: TypeId::of::<H>(),
            name: type_name::<H>(),
        }
    }
}

/// An agreement chose a handler that was never registered.
#[derive(thiserror::Error)]
#[error(
    "the agreement chose `{chosen}`, which is not a handler of `{request}`: add `.handler(…)` to the processor's builder"
)]
#[non_exhaustive]
pub struct NoSuchHandler {
    /// The type of the handler.
    pub chosen: &'static str,
    /// The type of the request.
    pub request: &'static str,
}

brighter_core::__private::readable_debug!(NoSuchHandler);

/// What decides.
pub(super) type Agreement<R> = Box<dyn Fn(&R, &Context) -> Choice + Send + Sync>;

/// The one handler that the agreement chooses.
pub(super) fn choose<'a, R: Request>(
    agreement: &Agreement<R>,
    registered: &'a [RegisteredHandler<R>],
    request: &R,
    cx: &Context,
) -> Result<&'a RegisteredHandler<R>, (&'static str, HandlerError)> {
    // It is the application's, and reads what a stranger may have written.
    let choice = catch_unwind(AssertUnwindSafe(|| agreement(request, cx))).map_err(|_| {
        let message = "the agreement on which handler it goes to".to_owned();
        (type_name::<R>(), HandlerError::Panicked { message })
    })?;
    let chosen = registered.iter().find(|one| one.id == choice.handler);
    chosen.ok_or_else(|| {
        let error = NoSuchHandler {
            chosen: choice.name,
            request: type_name::<R>(),
        };
        (choice.name, HandlerError::Failed(error.into()))
    })
}
