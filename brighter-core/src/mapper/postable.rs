//! [`Postable`] and [`Callable`]: requests that may leave the process.

use super::MessageMapper;
use super::reply::ReplyForm;
use crate::request::{Command, Request};

/// A request that may leave the process. Derived by `#[derive(Message)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel as a message",
    label = "has no topic and no mapper",
    note = "derive it, beside serde's two: `#[derive(Serialize, Deserialize, Message)]` and `#[message(topic = \"…\")]`"
)]
pub trait Postable: Request + Sized {
    /// Where it is published, unless its publication says otherwise.
    const TOPIC: &'static str;

    /// What kind of thing it is, as CloudEvents' `type` says it: its topic, unless `#[message(type = "…")]` says
    /// otherwise. By it a subscription tells the requests of one channel apart.
    const EVENT_TYPE: &'static str = Self::TOPIC;

    /// How its reply travels, if it has one: see [`Callable`].
    const REPLY: Option<ReplyForm<Self::Reply>> = None;

    /// What turns it into a message and back: [`JsonMapper`](super::JsonMapper), unless `#[message(mapper = …)]` names another.
    type Mapper: MessageMapper<Self> + Default;
}

/// A request that may leave the process and has a reply: what `call` takes. Derived
/// by `#[derive(Message)]` with `#[message(reply = …)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no reply to wait for",
    label = "cannot be called",
    note = "say what it is answered with: `#[message(topic = \"…\", reply = Invoice)]`",
    note = "a request without a reply is posted: `processor.post(request)`"
)]
pub trait Callable: Postable + Command {
    /// How its reply is written and read.
    const FORM: ReplyForm<Self::Reply>;
}
