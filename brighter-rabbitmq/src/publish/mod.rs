//! Publishing: one task owns the channel, and each message is confirmed, refused or returned individually.

mod delay_queues;
mod exchange;
mod fast_path;
mod in_flight;
mod publish_queue;
mod publish_task;
mod publisher;
mod request;
mod returned_messages;
mod route_changes;

pub(crate) use delay_queues::{DelayPlace, DelayQueues, LONGEST_IN_HAND};
pub(crate) use exchange::check_exchange;
pub(crate) use publisher::Publisher;
pub(crate) use request::{Outgoing, outgoing, outgoing_to};
