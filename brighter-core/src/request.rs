//! [`Request`], and its two kinds: [`Command`], for one handler, and [`Event`], for many.

use serde::Serialize;

use crate::error::BoxError;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
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

/// A request that knows whether it is valid, which `#[validate]` asks it.
///
/// ```
/// use brighter::prelude::*;
///
/// #[derive(Command)]
/// struct Greet { name: String }
///
/// impl Validate for Greet {
///     type Error = &'static str;                   // or any error type, or a `String`
///
///     fn validate(&self) -> Result<(), &'static str> {
///         if self.name.is_empty() { Err("a greeting needs a name") } else { Ok(()) }
///     }
/// }
/// # assert!(Greet { name: String::new() }.validate().is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be validated",
    label = "has no `Validate`, which `#[validate]` asks",
    note = "write `impl Validate for {Self} {{ type Error = …; fn validate(&self) -> Result<(), Self::Error> {{ … }} }}`, or remove `#[validate]`"
)]
pub trait Validate {
    /// What is wrong with it: any error type, or a text.
    type Error: Into<BoxError>;

    /// Looks at the request alone: no input or output here.
    ///
    /// # Errors
    /// What is wrong with it.
    fn validate(&self) -> Result<(), Self::Error>;
}
