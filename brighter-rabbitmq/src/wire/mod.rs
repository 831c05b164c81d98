//! Converts a [`Message`](brighter_core::message::Message) to AMQP properties, and back. It does no I/O.
//!
//! The format is that of Brighter for .NET, so that both can share a queue. It is also that of CloudEvents in binary
//! mode. Any sender may have written the headers: they affect nothing but the sender's own message.

mod amqp;
mod common;
mod copy;
mod fuzz;
mod header_table;
mod lean;
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
