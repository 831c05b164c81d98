//! [`Postable`] and [`Callable`]: requests that may leave the process.

use super::MessageMapper;
use super::reply::ReplyForm;
use crate::request::{Command, Request};

/// A request that may leave the process. `#[derive(Message)]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel as a message",
    label = "has no topic and no mapper",
    note = "derive it, beside serde's two: `#[derive(Serialize, Deserialize, Message)]` and `#[message(topic = \"…\")]`"
)]
pub trait Postable: Request + Sized {
    /// The topic of the request, unless its publication names another.
    const TOPIC: &'static str;

    /// The `type` attribute of CloudEvents: the topic, unless `#[message(type = "…")]` sets another. A subscription
    /// distinguishes the requests of one channel by it.
    const EVENT_TYPE: &'static str = Self::TOPIC;

    /// The form of the reply, if the request has one: see [`Callable`].
    const REPLY: Option<ReplyForm<Self::Reply>> = None;

    /// The mapper of the request: [`JsonMapper`](super::JsonMapper), unless `#[message(mapper = …)]` names another.
    type Mapper: MessageMapper<Self> + Default;
}

/// A request that may leave the process and has a reply, as `call` requires. `#[derive(Message)]` with `#[message(reply
/// = …)]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no reply to wait for",
    label = "cannot be called",
    note = "say what it is answered with: `#[message(topic = \"…\", reply = Invoice)]`",
    note = "a request without a reply is posted: `processor.post(request)`"
)]
pub trait Callable: Postable + Command {
    /// The form in which the reply is written and read.
    const FORM: ReplyForm<Self::Reply>;
}
