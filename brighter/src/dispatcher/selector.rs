//! A [`Selector`]: from a message to one of several types of requests.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::in_flight_table::InFlightTable;
use super::route::{DecodedRequest, Route, RouteError};
use crate::processor::{CommandProcessor, Reply};
use brighter_core::context::Context;
use brighter_core::mapper::MapError;
use brighter_core::message::{Message, MessageHeader};

/// One of the types that a channel may bring.
pub struct RequestRoute {
    pub(super) request: &'static str,
    pub(super) event_type: &'static str,
    pub(super) topic: &'static str,
    pub(super) route: Box<dyn Route>,
}

/// The route to the handlers of whichever request a message is: by its type, or by its topic if it has none.
pub(super) struct Selector {
    choices: Vec<RequestRoute>,
    handlers: Arc<[&'static str]>,
}

impl Selector {
    pub(super) fn new(choices: Vec<RequestRoute>) -> Self {
        let handlers = choices
            .iter()
            .flat_map(|choice| choice.route.handlers_of_all().iter());
        Self {
            handlers: handlers.copied().collect(),
            choices,
        }
    }

    fn select(&self, header: &MessageHeader) -> Result<&dyn Route, MapError> {
        let (what, said) = match header.event.event_type.as_deref() {
            Some(event_type) => ("type", event_type),
            None => ("topic", header.topic.as_str()),
        };
        let mut fitting = self.choices.iter().filter(|choice| match what {
            "type" => choice.event_type == said,
            _ => choice.topic == said,
        });
        match (fitting.next(), fitting.next()) {
            (Some(choice), None) => Ok(&*choice.route),
            (None, _) => Err(MapError::new(format!(
                "no request of this subscription has the {what} `{said}`; it brings: {}",
                self.known()
            ))),
            (Some(_), Some(_)) => Err(MapError::new(format!(
                "the message has no type, and more than one request has the {what} `{said}`; it brings: {}",
                self.known()
            ))),
        }
    }

    fn known(&self) -> String {
        let types = self.choices.iter().map(|choice| choice.event_type);
        types.collect::<Vec<_>>().join(", ")
    }
}

impl Route for Selector {
    fn handlers(&self, message: &Message) -> &Arc<[&'static str]> {
        self.select(&message.header)
            .map_or(&self.handlers, |route| route.handlers(message))
    }

    fn handlers_of_all(&self) -> &Arc<[&'static str]> {
        &self.handlers
    }

    fn lane(&self, message: &Message) -> Option<(u64, DecodedRequest)> {
        self.select(&message.header).ok()?.lane(message)
    }

    fn is_waited_for(&self, message: &Message) -> bool {
        self.select(&message.header)
            .is_ok_and(|route| route.is_waited_for(message))
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
        match self.select(&message.header) {
            Ok(route) => route.dispatch(processor, message, made, cx, done, table),
            Err(error) => Box::pin(std::future::ready(Err(RouteError::Map(error)))),
        }
    }
}
