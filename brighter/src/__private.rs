//! Everything that the code written by the macros may name. Not for people: it may change in any release.

// Of the standard library too, so that what a user calls `Option`, `str` or `core` is nothing to expanded code.
pub use std::any::type_name;
pub use std::clone::Clone;
pub use std::marker::{Send, Sync};
pub use std::option::Option::{self, None, Some};
pub use std::primitive::str;
pub use std::result::Result;
pub use std::sync::Arc;
pub use std::time::Duration;
pub use std::{stringify, unimplemented};

use serde::Serialize;
use serde::de::DeserializeOwned;
pub use tower::Layer;

pub use crate::handler::{Batch, BatchHandler, Handler, NoReply, TransactionalHandler};
pub use crate::layer::FallbackOn;
pub use crate::pipeline::{
    HandlerPipeline, HandlerService, InboxContext, Pipeline, Step, Timing, TransactionalHandlerService,
    Wiring, handle_alone,
};
pub use brighter_core::context::Context;
pub use brighter_core::error::BoxError;
pub use brighter_core::id::MessageId;
pub use brighter_core::mapper::{Callable, JsonMapper, Postable, ReplyForm};
pub use brighter_core::request::{Command, Event, Request, RequestKind};
pub use brighter_core::transaction::IsolationLevel;
#[cfg(feature = "schedule")]
pub use brighter_cron::Cron;

/// The error of what `handle` returns, by whatever alias of `Result` it is called.
#[diagnostic::on_unimplemented(
    message = "`handle` returns a `Result`, not `{Self}`",
    label = "not a `Result`",
    note = "write `Result<(), …>` with your error type"
)]
pub trait Outcome {
    type Error;
}

impl<T, E> Outcome for Result<T, E> {
    type Error = E;
}

/// A request that [`JsonMapper`] can write and read: one bound with one message for the two.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel as JSON",
    label = "not both `Serialize` and `Deserialize`",
    note = "derive serde's two beside it: `#[derive(Serialize, Deserialize, Message)]`",
    note = "or name what writes and reads it: `#[message(topic = \"…\", mapper = …)]`"
)]
pub trait Json: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Json for T {}

pub fn json<T: Json>() {}

pub fn handles<H: Handler<R>, R: Request>() {}

pub fn handles_in_transaction<H: TransactionalHandler<R>, R: Request>() {}

/// A field that can be the identity of a request.
#[diagnostic::on_unimplemented(
    message = "the id of a request is a `MessageId`, not `{Self}`",
    label = "not a `MessageId`",
    note = "make the field a `MessageId`, or mark another one"
)]
pub trait Identity {
    fn message_id(&self) -> &MessageId;
}

impl Identity for MessageId {
    fn message_id(&self) -> &MessageId {
        self
    }
}

pub fn message_id<T: Identity>(field: &T) -> &MessageId {
    field.message_id()
}

#[cfg(feature = "testing")]
pub use brighter_conformance::{__conformance_cases, __conformance_tests};
