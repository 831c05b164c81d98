//! Chooses one of several handlers by the contents of a request.

use std::any::{TypeId, type_name};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::registered_handler::RegisteredHandler;
use brighter_core::context::Context;
use brighter_core::error::HandlerError;
use brighter_core::request::Request;

/// The handler that a request goes to, for [`CommandProcessorBuilder::route_by`](super::CommandProcessorBuilder::route_by).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlerChoice {
    handler: TypeId,
    name: &'static str,
}

impl HandlerChoice {
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

/// The routing function chose a handler that was never registered.
#[derive(thiserror::Error)]
#[error(
    "the routing function chose `{chosen}`, which is not a handler of `{request}`: add `.handler(…)` to the processor's builder"
)]
#[non_exhaustive]
pub struct NoSuchHandler {
    /// The type of the handler.
    pub chosen: &'static str,
    /// The type of the request.
    pub request: &'static str,
}

brighter_core::__private::readable_debug!(NoSuchHandler);

/// The function that chooses.
pub(super) type RoutingFunction<R> = Box<dyn Fn(&R, &Context) -> HandlerChoice + Send + Sync>;

/// The one handler that the routing function chooses.
pub(super) fn choose<'a, R: Request>(
    route: &RoutingFunction<R>,
    registered: &'a [RegisteredHandler<R>],
    request: &R,
    cx: &Context,
) -> Result<&'a RegisteredHandler<R>, (&'static str, HandlerError)> {
    // The function is the application's, and reads what others wrote, so it may panic.
    let choice = catch_unwind(AssertUnwindSafe(|| route(request, cx))).map_err(|_| {
        let message = "the routing function".to_owned();
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
