//! A command processor and distributed task queue: a plain handler, annotated, becomes reliable.
//!
//! | to | use |
//! |---|---|
//! | say what travels | [`#[derive(Message)]`](macro@Message); [`#[derive(Command)]`](macro@Command) and [`#[derive(Event)]`](macro@Event) for what stays in the process |
//! | choose the form in which it travels | [`mapper`]: JSON, CloudEvents, or a mapper of yours |
//! | handle it | [`Handler`] and [`#[handler]`](macro@handler), with the layers that its steps name |
//! | send to one handler, publish to many, in this process | [`CommandProcessor::send`], [`CommandProcessor::publish`] |
//! | choose one of several handlers by what is in the request | [`CommandProcessorBuilder::route_by`](processor::CommandProcessorBuilder::route_by) |
//! | post to another process, and lose nothing | [`CommandProcessor::post`] |
//! | post in your own database transaction | [`CommandProcessor::deposit_post`] |
//! | choose topic, headers, priority or partition key of one post | [`Post`](processor::Post) |
//! | post for later, cancel, reschedule | [`Post::after`](processor::Post::after), [`ProcessorOutbox::cancel`](processor::ProcessorOutbox::cancel), [`ProcessorOutbox::reschedule`](processor::ProcessorOutbox::reschedule) |
//! | post at the times of a cron expression, once whatever dies | [`schedule::Recurring`], [`cron!`](macro@schedule::cron) (feature `schedule`) |
//! | post a message only once in a while | [`Post::unique_for`](processor::Post::unique_for), [`DepositPost::unique_for`](processor::DepositPost::unique_for) |
//! | call another process and wait for its reply | [`CommandProcessor::call`] |
//! | do any of this in a handler | its [`Context`], by [`ContextExt`] |
//! | receive | [`Subscription`], [`Dispatcher`], [`host::run`] |
//! | receive several requests from one queue | [`Subscription::one_of`], [`OneOf`](channel::OneOf) |
//! | keep the order by key, limit the rate | [`Subscription::ordered_by`], [`Subscription::rate`] |
//! | handle many messages in one call | [`#[handler(batch(…))]`](macro@handler) with a [`Batch`] |
//! | pause, scale, throttle, and watch it run | [`Dispatcher`]; [`dispatcher::Control`] from another process (feature `control`) |
//! | retry, break the circuit, limit the time | [`policy`], [`#[use_policy]`](macro@use_policy), [`#[timeout]`](macro@timeout) |
//! | decide what happens to a message | [`Defer`], [`Reject`], [`Invalid`], [`DontAck`]; [`#[reject_on_error]`](macro@reject_on_error) and the other backstops |
//! | send dead letters back to their queue | [`channel::Replay`] |
//! | group, search and keep dead letters in a table, and send them back slowly or after a trial | [`desk`](mod@desk) (feature `desk`) |
//! | validate, fall back, switch off, monitor, use any tower layer | [`layer`](mod@layer) |
//! | handle a duplicate once | [`#[use_inbox]`](macro@use_inbox) with [`InMemoryInbox`], [`SqliteInbox`], [`PostgresInbox`] or [`MySqlInbox`] |
//! | have an effect exactly once | [`inbox::complete_in`] in your transaction |
//! | keep messages until they are sent | [`InMemoryOutbox`], [`SqliteOutbox`], [`PostgresOutbox`], [`MySqlOutbox`], and a [`Sweeper`] |
//! | delete or archive sent messages, list and revive dead ones | [`Archiver`], [`CommandProcessor::outbox`] |
//! | carry messages | [`InMemoryBroker`], [`SqliteBroker`] (feature `sqlite-broker`), [`RabbitMq`] (feature `rabbitmq`) |
//! | answer probes and Prometheus | [`CommandProcessor::health`], [`Dispatcher::readiness`], [`http::Endpoints`] (feature `http`) |
//! | trace and measure | [`telemetry`] (features `otel` and `metrics`) |
//! | change settings by a file or variables | [`config::Config`] (feature `config`) |
//! | test a whole application, also while it dies | [`testing`] (feature `testing`) |
//! | write a broker, an outbox or an inbox | the crates [`brighter-core`](https://docs.rs/brighter-core) and [`brighter-conformance`](https://docs.rs/brighter-conformance) |
//!
//! The features `sqlite`, `postgres` and `mysql` bring the outboxes and inboxes of these databases. What needs a feature
//! says so on its page.
//!
//! ```
//! use brighter::prelude::*;
//!
//! #[derive(Debug, Serialize, Deserialize, Message)]
//! #[message(topic = "Greeting")]
//! struct Greet { name: String }
//!
//! struct Greeter;
//!
//! #[handler]
//! impl Handler<Greet> for Greeter {
//!     #[request_logging(step = 1)]
//!     #[use_policy(retry, step = 2)]
//!     async fn handle(&self, greet: &Greet) -> Result<(), std::io::Error> {
//!         println!("Hello, {}", greet.name);
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let processor = CommandProcessor::builder()
//!     .handler(Greeter)
//!     .broker(InMemoryBroker::new())
//!     .outbox(InMemoryOutbox::new())
//!     .build()?;
//! let dispatcher = Dispatcher::builder(processor.clone())
//!     .subscription(Subscription::<Greet>::new("greetings"))
//!     .build()?;
//! dispatcher.receive();
//! dispatcher.wait_until_consuming().await;
//! processor.post(Greet { name: "Ian".into() }).await?; // to every subscription, in this process or another
//! dispatcher.end().await;
//! # Ok(())
//! # }
//! ```
//!
//! # More
//!
//! - [The book](https://github.com/brighter-rs/brighter/blob/main/docs/book/src/SUMMARY.md): a tutorial, how-to guides, comparisons
//!   with other libraries, reference and explanation
//! - [What is promised, and what is not](https://github.com/brighter-rs/brighter/blob/main/docs/guarantees.md)
//! - [Settings](https://github.com/brighter-rs/brighter/blob/main/docs/book/src/reference/configuration-keys.md), and
//!   [how to operate it](https://github.com/brighter-rs/brighter/blob/main/docs/book/src/how-to/operate.md)
//! - [Examples](https://github.com/brighter-rs/brighter/tree/main/examples): a shop of three services, and smaller ones
//! - A new service: `cargo generate --git https://github.com/brighter-rs/brighter templates/service`
#![cfg_attr(docsrs, feature(doc_cfg))]
// Links to what a feature brings lead nowhere without the feature. docs.rs builds with all of them.
#![cfg_attr(
    not(all(
        feature = "config",
        feature = "control",
        feature = "desk",
        feature = "http",
        feature = "macros",
        feature = "mysql",
        feature = "postgres",
        feature = "rabbitmq",
        feature = "schedule",
        feature = "signals",
        feature = "sqlite",
        feature = "sqlite-broker",
        feature = "testing"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

pub mod channel;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "desk")]
pub mod desk;
pub mod dispatcher;
mod duplicate;
pub mod handler;
pub mod host;
#[cfg(feature = "http")]
pub mod http;
mod in_memory;
pub mod inbox;
pub mod layer;
pub mod outbox;
pub mod pipeline;
pub mod policy;
pub mod prelude;
pub mod processor;
mod publication;
mod replay;
#[cfg(feature = "schedule")]
pub mod schedule;
mod subscription;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;

#[doc(hidden)]
pub mod __private;

pub use brighter_core::{context, error, id, mapper, message, request, trace, transaction};
#[cfg(feature = "macros")]
pub use brighter_macros::{
    Command, Event, Message, defer_on_error, derive, dont_ack_on_error, fallback, feature_switch, handler,
    layer, monitor, reject_on_error, request_logging, timeout, transactional, use_inbox, use_policy,
    validate,
};
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub use brighter_sql::store;

pub use channel::{InMemoryBroker, Publication, Subscription};
pub use context::Context;
pub use dispatcher::Dispatcher;
pub use error::{BoxError, Defer, DontAck, HandlerError, Invalid, Reject};
pub use handler::{Batch, Handler};
pub use id::MessageId;
pub use inbox::InMemoryInbox;
pub use message::Message;
pub use outbox::InMemoryOutbox;
pub use policy::PolicyRegistry;
pub use processor::{Archiver, CommandProcessor, ContextExt, Sweeper};
pub use request::{Command, Event, Request, Validate};
#[cfg(feature = "mysql")]
pub use store::mysql::{MySqlInbox, MySqlOutbox};
#[cfg(feature = "postgres")]
pub use store::postgres::{PostgresInbox, PostgresOutbox};
#[cfg(feature = "sqlite")]
pub use store::sqlite::{SqliteInbox, SqliteOutbox};
#[cfg(feature = "rabbitmq")]
pub use transport::rabbitmq::RabbitMq;
#[cfg(feature = "sqlite-broker")]
pub use transport::sqlite::SqliteBroker;

#[cfg(feature = "testing")]
#[doc(hidden)]
pub use brighter_conformance::{
    inbox_contract, inbox_transaction_contract, outbox_contract, outbox_transaction_contract,
};

#[cfg(all(feature = "desk", feature = "testing"))]
#[doc(hidden)]
pub use brighter_conformance::desk_contract;

/// The README's examples, run as tests.
#[cfg(all(doctest, feature = "macros", feature = "rabbitmq", feature = "testing"))]
#[doc = include_str!("../../README.md")]
pub struct Readme;
