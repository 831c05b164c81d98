//! [`Request`], and its two kinds: [`Command`], for one handler, and [`Event`], for many.

use crate::id::MessageId;

/// Something that a handler handles. Derived, never written by hand: by `#[derive(Command)]`,
/// `#[derive(Event)]`, or `#[derive(Message)]` for a request that may leave the process.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a request",
    label = "not a request",
    note = "derive it: `#[derive(Command)]` for one handler, `#[derive(Event)]` for many, or `#[derive(Message)]` with `#[message(topic = \"…\")]` if it may leave the process"
)]
pub trait Request: Send + Sync + 'static {
    /// What its handler gives back; `()` unless `#[command(reply = …)]` says otherwise.
    type Reply: Send + 'static;

    /// How it is dispatched.
    const KIND: RequestKind;

    /// Its identity: the field named `id`, or the one marked `#[message(id)]`. A request without one gets an
    /// id when it is first posted.
    fn id(&self) -> Option<&MessageId> {
        None
    }
}

/// How a request is dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// To exactly one handler.
    Command,
    /// To every handler that wants it.
    Event,
    /// Data, to every handler that wants it.
    Document,
}

/// A request for exactly one handler, sent with `send`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "not a command",
    note = "`send` takes a command, which has exactly one handler: `#[derive(Command)]`, or `#[derive(Message)]` without `kind`",
    note = "an event is published: `processor.publish(event)`"
)]
pub trait Command: Request {}

/// A request for every handler that wants it, published with `publish`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "`publish` takes an event, which has any number of handlers: `#[derive(Event)]`, or `#[message(kind = \"event\")]` with `#[derive(Message)]`",
    note = "a command is sent: `processor.send(command)`"
)]
pub trait Event: Request<Reply = ()> {}
