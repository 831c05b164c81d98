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
mod nesting;
mod read;
mod size;
mod value;
mod waiting;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use amqp::short;
pub(crate) use copy::{counted, for_another, for_retry, rejected_by, set_aside, waiting_on};
pub use fuzz::{deep_header, fuzz_nesting, fuzz_wire};
pub use micro::OnTheWire;
pub(crate) use nesting::NestingLimit;
pub(crate) use read::{Original, message, redeliveries};
pub(crate) use size::header_bytes;
pub(crate) use waiting::{not_before, still_waits};
pub(crate) use write::properties;
