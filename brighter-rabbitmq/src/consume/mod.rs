//! Consuming: an AMQP channel for each consumer, its deliveries, and their settlement.

mod ack_window;
mod consumer;
mod consumer_channel;
mod depth;
mod live_consumers;
mod open_questions;
mod question;
mod receipt;
mod redeliveries;
mod silence;
mod silence_watch;
mod start;
mod started_consumer;
mod starts;

pub(crate) use consumer::consume;
pub(crate) use depth::depth;
pub use live_consumers::LiveConsumer;
pub(crate) use live_consumers::LiveConsumers;
pub(crate) use open_questions::OpenQuestions;
pub(crate) use starts::Starts;
