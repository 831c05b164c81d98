//! [`Requests`]: the types of requests that a subscription may bring.

use std::any::type_name;
use std::sync::Arc;

use self::sealed::Brings;
use super::route::{Route, RouteTo};
use super::selector::{RequestRoute, Selector};
use crate::processor::CommandProcessor;
use crate::subscription::{Keys, OneOf};
use brighter_core::mapper::Postable;

/// The requests that a subscription may bring: of one type, or of the types of a [`OneOf`].
#[diagnostic::on_unimplemented(
    message = "a subscription cannot bring `{Self}`",
    label = "is no request that travels, and not several of them",
    note = "derive it, beside serde's two: `#[derive(Serialize, Deserialize, Message)]` and `#[message(topic = \"…\")]`"
)]
pub trait Requests: Brings {}

impl<B: Brings> Requests for B {}

/// The route from the messages of a subscription to their handlers, and the requests that `build()` checks.
pub struct Routing {
    pub(super) route: Arc<dyn Route>,
    pub(super) requests: Vec<RequestInfo>,
}

/// One type of requests that a subscription brings.
pub(super) struct RequestInfo {
    pub(super) request: &'static str,
    pub(super) event_type: &'static str,
    pub(super) handlers: Arc<[&'static str]>,
}

impl RequestInfo {
    fn of<R: Postable>(processor: &CommandProcessor) -> Self {
        Self {
            request: type_name::<R>(),
            event_type: R::EVENT_TYPE,
            handlers: processor.handlers_of::<R>().collect(),
        }
    }
}

mod sealed {
    use super::{CommandProcessor, Keys, RequestRoute, Routing};

    /// The sealed part of [`Requests`](super::Requests).
    pub trait Brings {
        fn routing(processor: &CommandProcessor, keys: &mut Keys) -> Routing;
    }

    /// The types of a [`OneOf`](crate::subscription::OneOf), one before the other.
    pub trait List {
        fn add_to(choices: &mut Vec<RequestRoute>, processor: &CommandProcessor, keys: &mut Keys);
    }
}

impl<R: Postable> Brings for R {
    fn routing(processor: &CommandProcessor, keys: &mut Keys) -> Routing {
        let brought = RequestInfo::of::<R>(processor);
        Routing {
            route: Arc::new(RouteTo::<R>::new(Arc::clone(&brought.handlers), keys.take())),
            requests: vec![brought],
        }
    }
}

impl<L: sealed::List> Brings for OneOf<L> {
    fn routing(processor: &CommandProcessor, keys: &mut Keys) -> Routing {
        let mut choices = Vec::new();
        L::add_to(&mut choices, processor, keys);
        let brought = |choice: &RequestRoute| RequestInfo {
            request: choice.request,
            event_type: choice.event_type,
            handlers: Arc::clone(choice.route.handlers_of_all()),
        };
        Routing {
            requests: choices.iter().map(brought).collect(),
            route: Arc::new(Selector::new(choices)),
        }
    }
}

impl sealed::List for () {
    fn add_to(_: &mut Vec<RequestRoute>, _: &CommandProcessor, _: &mut Keys) {}
}

impl<R: Postable, L: sealed::List> sealed::List for (R, L) {
    fn add_to(choices: &mut Vec<RequestRoute>, processor: &CommandProcessor, keys: &mut Keys) {
        // Those that were named before come first.
        L::add_to(choices, processor, keys);
        let brought = RequestInfo::of::<R>(processor);
        choices.push(RequestRoute {
            request: brought.request,
            event_type: brought.event_type,
            topic: R::TOPIC,
            route: Box::new(RouteTo::<R>::new(brought.handlers, keys.take())),
        });
    }
}
