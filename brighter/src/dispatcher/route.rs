//! A [`Route`]: from a message to the handlers of its request.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::in_flight_table::InFlightTable;
use crate::processor::{CommandProcessor, PublishErrors, Reply, is_waited_for};
use crate::subscription::LaneOf;
use brighter_core::__private::Repeated;
use brighter_core::__private::{panic_text, report};
use brighter_core::context::Context;
use brighter_core::mapper::{MapError, MessageMapper, Postable};
use brighter_core::message::Message;

/// Why a message was not handled.
pub(super) enum RouteError {
    /// The message could not be made into a request.
    Map(MapError),
    /// One handler or more failed.
    Handlers(PublishErrors),
    /// All of it together took longer than it may.
    TimedOut(Duration),
}

impl RouteError {
    /// Returns the kind of failure, as one of few words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Map(_) => "mapping",
            Self::Handlers(errors) => errors.kind(),
            Self::TimedOut(_) => "timed_out",
        }
    }

    /// Whether something went wrong, rather than the message being wanted once more.
    pub(super) fn is_failure(&self) -> bool {
        match self {
            Self::Handlers(errors) => errors.is_failure(),
            Self::Map(_) | Self::TimedOut(_) => true,
        }
    }
}

/// A request that was made from a message before it was its turn.
pub(super) type DecodedRequest = Box<dyn Any + Send>;

/// From a message to the handlers of its request, whose type is known inside and nowhere else.
pub(super) trait Route: Send + Sync {
    /// The types of the handlers that the message goes to.
    fn handlers(&self, message: &Message) -> &Arc<[&'static str]>;

    /// The types of all handlers.
    fn handlers_of_all(&self) -> &Arc<[&'static str]>;

    /// The lane of the message, and its request, which had to be made to know it; `None` if it keeps no order,
    /// also because it cannot be made, which dispatching it will say.
    fn lane(&self, message: &Message) -> Option<(u64, DecodedRequest)>;

    /// Whether its sender waits for a reply, and the request has one.
    fn is_waited_for(&self, message: &Message) -> bool;

    /// Translates the message, unless its request was made before, and dispatches the request to the handlers
    /// that are not done with it yet. Gives the reply, if its sender waits for one. The table is told while the mapper
    /// runs.
    fn dispatch<'a>(
        &'a self,
        processor: &'a CommandProcessor,
        message: &'a Message,
        made: Option<DecodedRequest>,
        cx: Context,
        done: &'a mut Vec<usize>,
        table: &'a InFlightTable,
    ) -> BoxFuture<'a, Result<Option<Reply>, RouteError>>;
}

/// The route to the handlers of `R`.
pub(super) struct RouteTo<R: Postable> {
    mapper: R::Mapper,
    handlers: Arc<[&'static str]>,
    lane_of: Option<LaneOf<R>>,
}

impl<R: Postable> RouteTo<R> {
    pub(super) fn new(handlers: Arc<[&'static str]>, lane_of: Option<LaneOf<R>>) -> Self {
        Self {
            mapper: R::Mapper::default(),
            handlers,
            lane_of,
        }
    }

    fn request(&self, message: &Message) -> Result<R, MapError> {
        caught(|| self.mapper.to_request(message))
    }

    /// Returns the context with the headers that the body holds.
    fn enriched(&self, message: &Message, cx: Context) -> Result<Context, MapError> {
        let Some(header) = caught(|| self.mapper.header_of(message))? else {
            return Ok(cx);
        };
        let cx = cx
            .with_message_id(header.id.clone())
            .with_trace(header.trace.clone());
        cx.insert(header);
        Ok(cx)
    }
}

impl<R: Postable> Route for RouteTo<R> {
    fn handlers(&self, _: &Message) -> &Arc<[&'static str]> {
        &self.handlers
    }

    fn handlers_of_all(&self) -> &Arc<[&'static str]> {
        &self.handlers
    }

    fn lane(&self, message: &Message) -> Option<(u64, DecodedRequest)> {
        let lane_of = self.lane_of.as_ref()?;
        let request = self.request(message).ok()?;
        // Also the application's. All whose key cannot be had share a lane, so that they keep their order.
        let lane = catch_unwind(AssertUnwindSafe(|| lane_of(&request))).unwrap_or_else(|_| {
            tracing::warn!(id = %message.header.id, "the key function of a message panicked");
            0
        });
        Some((lane, Box::new(request)))
    }

    fn is_waited_for(&self, message: &Message) -> bool {
        R::REPLY.is_some() && is_waited_for(&message.header)
    }

    fn dispatch<'a>(
        &'a self,
        processor: &'a CommandProcessor,
        message: &'a Message,
        made: Option<DecodedRequest>,
        cx: Context,
        done: &'a mut Vec<usize>,
        table: &'a InFlightTable,
    ) -> BoxFuture<'a, Result<Option<Reply>, RouteError>> {
        Box::pin(async move {
            let mapping = table.begin_mapping();
            let request = match made.and_then(|made| made.downcast().ok()) {
                Some(request) => *request,
                None => self.request(message).map_err(RouteError::Map)?,
            };
            let cx = self.enriched(message, cx).map_err(RouteError::Map)?;
            drop(mapping);
            let Some(form) = R::REPLY.filter(|_| is_waited_for(&message.header)) else {
                let dispatched = processor.dispatch(request, cx, done).await;
                return dispatched.map(|_| None).map_err(RouteError::Handlers);
            };
            let repeated = Arc::new(Repeated::default());
            cx.insert_arc(Arc::clone(&repeated));
            let reply = processor
                .dispatch(request, cx, done)
                .await
                .map_err(RouteError::Handlers)?;
            let _mapping = table.begin_mapping();
            let reply = reply.map(|reply| match caught(|| (form.write)(&reply)) {
                _ if repeated.is_noted() => Reply::Repeated,
                Ok(body) => Reply::Body(body),
                Err(error) => Reply::Failed(format!("its reply cannot be written: {}", report(&error))),
            });
            Ok(reply)
        })
    }
}

/// A mapper is the application's code, as is what writes a reply, and reads what a stranger wrote.
fn caught<T>(map: impl FnOnce() -> Result<T, MapError>) -> Result<T, MapError> {
    catch_unwind(AssertUnwindSafe(map)).unwrap_or_else(|panic| {
        let text = panic_text(&*panic);
        Err(MapError::new(format!("the mapper panicked: {text}")))
    })
}
