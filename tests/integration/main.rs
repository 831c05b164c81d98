//! brighter with real stores and real brokers, as a user sees it.

mod dispatching;
mod in_memory_broker;
mod outbox;
mod pipelines;
mod posting;
mod processing;
mod rabbitmq;
mod snippets;
mod steps;
