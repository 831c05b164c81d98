//! A [`Message`](brighter_core::message::Message) as AMQP properties, and back. Pure: nothing here talks to anyone.
//!
//! The form is that of Brighter for .NET, so that both can share a queue; and it is that of CloudEvents in its
//! binary mode. What is read is whatever somebody wrote: a stranger decides nothing by a header but what becomes
//! of his own message.

mod amqp;
mod copy;
mod fuzz;
mod headers;
mod micro;
mod name;
mod read;
mod size;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use amqp::short;
pub(crate) use copy::{counted, for_another, for_retry, set_aside};
pub use fuzz::fuzz_wire;
pub use micro::OnTheWire;
pub(crate) use read::{Original, message, redeliveries};
pub(crate) use size::header_bytes;
pub(crate) use write::properties;
