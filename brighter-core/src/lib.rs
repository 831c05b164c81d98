//! Messages and ports: the types and traits against which a broker, an outbox or an inbox for [brighter] is written.
//!
//! An application uses the crate `brighter`, which re-exports everything here. This crate is for adapters, and for
//! crates that only define messages: it depends on no database, no client library and no web framework.
//!
//! | to write | implement |
//! |---|---|
//! | a broker | [`Producer`](channel::Producer), [`Broker`](channel::Broker) and [`Settle`](channel::Settle) |
//! | an outbox | [`Outbox`](outbox::Outbox), [`OutboxTransaction`](outbox::OutboxTransaction) for its transactions, and what it can do of [`Scheduling`](outbox::Scheduling), [`Inspection`](outbox::Inspection), [`DeadMessages`](outbox::DeadMessages), [`Resending`](outbox::Resending), [`Archiving`](outbox::Archiving), [`Schedules`](outbox::Schedules) |
//! | an inbox | [`Inbox`](inbox::Inbox), and [`InboxTransaction`](inbox::InboxTransaction) for its transactions |
//! | a database for `#[transactional]` | [`HandlerTransaction`](transaction::HandlerTransaction) |
//! | another form of messages | [`MessageMapper`](mapper::MessageMapper) |
//!
//! The crate `brighter-conformance` has the tests that each of them must pass.
//!
//! [brighter]: https://docs.rs/brighter
#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
pub mod fault_point;

pub mod channel;
#[doc(hidden)]
pub mod clock;
pub mod context;
mod cut;
#[cfg(feature = "desk")]
pub mod desk;
pub mod error;
mod escape;
pub mod id;
pub mod inbox;
mod json_text;
pub mod mapper;
pub mod message;
pub mod outbox;
#[doc(hidden)]
pub mod redact;
pub mod request;
mod setting;
#[doc(hidden)]
pub mod small_file;
pub mod trace;
pub mod transaction;

#[doc(hidden)]
pub mod __private;
