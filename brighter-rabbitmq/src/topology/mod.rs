//! The topology of a channel in RabbitMQ, as data: computed from the settings alone, printable, and only then declared.
//!
//! A queue has as few arguments as possible. The broker refuses a queue that exists with others, so each argument is
//! one more that can never be changed in place.

mod declare;
pub(crate) mod delay;
mod failure;
mod model;
mod name;
mod plan;
mod show;

#[cfg(test)]
mod tests;

pub(crate) use declare::{answered, answered_within, close, declare, declare_delay, declare_exchange};
pub(crate) use failure::{ANSWER, DeclareError, DeclareFailure};
pub use model::{Argument, Binding, Exchange, ExchangeKind, Purpose, Queue, Topology};
pub(crate) use plan::plan;
