//! [`Request`], and its two kinds: [`Command`], for one handler, and [`Event`], for many.

use serde::Serialize;

use crate::error::BoxError;
use crate::id::MessageId;

/// A value that a handler handles. Derive it, and do not implement it by hand: by `#[derive(Command)]`,
/// `#[derive(Event)]`, or `#[derive(Message)]` for a request that may leave the process.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a request",
    label = "not a request",
    note = "derive it: `#[derive(Command)]` for one handler, `#[derive(Event)]` for many, or `#[derive(Message)]` with `#[message(topic = \"…\")]` if it may leave the process"
)]
pub trait Request: Send + Sync + 'static {
    /// The type that its handler returns; `()` unless `#[command(reply = …)]` names another.
    type Reply: Send + 'static;

    /// The way in which the request is dispatched.
    const KIND: RequestKind;

    /// Returns the identity of the request: the field named `id`, or the one marked `#[message(id)]`. A request without
    /// one gets an id when it is first posted.
    fn id(&self) -> Option<&MessageId> {
        None
    }
}

/// The way in which a request is dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestKind {
    /// Goes to exactly one handler.
    Command,
    /// Goes to every handler that subscribes to it.
    Event,
    /// Carries data, and goes to every handler that subscribes to it.
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

/// A request for every handler that subscribes to it, published with `publish`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "`publish` takes an event, which has any number of handlers: `#[derive(Event)]`, or `#[message(kind = \"event\")]` with `#[derive(Message)]`",
    note = "a command is sent: `processor.send(command)`"
)]
pub trait Event: Request<Reply = ()> {}

/// A request that can validate itself. `#[validate]` calls it before the handler.
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
    /// The reason why the request is invalid: any error type, or a text.
    type Error: Into<BoxError>;

    /// Validates the request by its own values, without input or output.
    ///
    /// # Errors
    /// Returns why the request is invalid.
    fn validate(&self) -> Result<(), Self::Error>;
}
