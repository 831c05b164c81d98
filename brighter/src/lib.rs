//! A command processor and distributed task queue: a plain handler, annotated, becomes reliable.
//!
//! | to | use |
//! |---|---|
//! | say what travels | `#[derive(Message)]`; `#[derive(Command)]` and `#[derive(Event)]` for what does not |
//! | handle it, with layers around | [`Handler`] and `#[handler]` |
//! | send, publish, post | [`CommandProcessor`]; in a handler its [`Context`], by [`ContextExt`] |
//! | consume | [`Subscription`], [`Dispatcher`], [`host::run`] |
//! | steer and watch what consumes | [`Dispatcher`], [`dispatcher::ControlCommand`], `dispatcher::Control` (feature `control`) |
//! | retry, break the circuit, limit the time | [`policy`] |
//! | choose what happens to a message | [`Defer`], [`Reject`], [`Invalid`], [`DontAck`]; `#[reject_on_error]` and its like |
//! | validate, fall back, switch off, monitor, put any tower layer around | [`layer`](mod@layer) |
//! | handle a duplicate once | `#[use_inbox]`, [`InMemoryInbox`], `SqliteInbox`, `PostgresInbox`, `MySqlInbox` |
//! | store until sent | [`InMemoryOutbox`], `SqliteOutbox`, `PostgresOutbox`, `MySqlOutbox` (features `sqlite`, `postgres`, `mysql`) |
//! | ask whether it does what it is for | [`CommandProcessor::health`], [`Dispatcher::health`]; `http::Endpoints` for probes (feature `http`) |
//! | change settings by a file or variables | `config::Config` (feature `config`) |
//! | carry | [`InMemoryBroker`], `SqliteBroker` (feature `sqlite-broker`), `RabbitMq` (feature `rabbitmq`) |
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
//! dispatcher.consuming().await;
//! processor.post(Greet { name: "Ian".into() }).await?; // to every subscription, in this process or another
//! dispatcher.end().await;
//! # Ok(())
//! # }
//! ```
//!
//! What is promised, and what is not, is in `docs/guarantees.md` of the repository.

pub mod channel;
#[cfg(feature = "config")]
pub mod config;
pub mod dispatcher;
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
mod subscription;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;

#[doc(hidden)]
pub mod __private;

pub use brighter_core::{context, error, id, mapper, message, request, trace};
#[cfg(feature = "macros")]
pub use brighter_macros::{
    Command, Event, Message, defer_on_error, derive, dont_ack_on_error, fallback, feature_switch, handler,
    layer, monitor, reject_on_error, request_logging, timeout, use_inbox, use_policy, validate,
};
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub use brighter_sql::store;

pub use channel::{InMemoryBroker, Publication, Subscription};
pub use context::Context;
pub use dispatcher::Dispatcher;
pub use error::{BoxError, Defer, DontAck, HandlerError, Invalid, Reject};
pub use handler::Handler;
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

/// The README's examples, run as tests.
#[cfg(all(doctest, feature = "macros", feature = "rabbitmq", feature = "testing"))]
#[doc = include_str!("../../README.md")]
pub struct Readme;
