//! A [`Route`]: from a message to the handlers of its request.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::future::BoxFuture;

use crate::context::Context;
use crate::mapper::{MapError, MessageMapper, Postable};
use crate::message::Message;
use crate::processor::{CommandProcessor, PublishErrors};

/// Why a message was not handled.
pub(super) enum RouteError {
    /// It could not be made into a request.
    Map(MapError),
    /// One handler or more failed.
    Handlers(PublishErrors),
}

/// From a message to the handlers of its request, whose type is known inside and nowhere else.
pub(super) trait Route: Send + Sync {
    /// Translates the message and dispatches the request to the handlers that are not done with it yet.
    fn dispatch<'a>(
        &'a self,
        processor: &'a CommandProcessor,
        message: &'a Message,
        cx: Context,
        done: &'a mut Vec<usize>,
    ) -> BoxFuture<'a, Result<(), RouteError>>;
}

/// The route to the handlers of `R`.
pub(super) struct RouteTo<R: Postable> {
    mapper: R::Mapper,
    request: PhantomData<fn() -> R>,
}

impl<R: Postable> RouteTo<R> {
    pub(super) fn new() -> Self {
        Self {
            mapper: R::Mapper::default(),
            request: PhantomData,
        }
    }
}

impl<R: Postable> Route for RouteTo<R> {
    fn dispatch<'a>(
        &'a self,
        processor: &'a CommandProcessor,
        message: &'a Message,
        cx: Context,
        done: &'a mut Vec<usize>,
    ) -> BoxFuture<'a, Result<(), RouteError>> {
        Box::pin(async move {
            // A mapper is the application's code, and reads what a stranger wrote.
            let request = catch_unwind(AssertUnwindSafe(|| self.mapper.to_request(message)))
                .unwrap_or_else(|_| Err(MapError::new("the mapper panicked")))
                .map_err(RouteError::Map)?;
            processor
                .dispatch(request, cx, done)
                .await
                .map_err(RouteError::Handlers)
        })
    }
}
