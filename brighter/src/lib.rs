//! brighter

pub mod channel;
pub mod context;
pub mod dispatcher;
pub mod error;
pub mod handler;
pub mod host;
pub mod id;
pub mod layer;
pub mod mapper;
pub mod message;
pub mod outbox;
pub mod pipeline;
pub mod policy;
pub mod prelude;
pub mod processor;
pub mod request;
#[cfg(feature = "sqlite")]
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "rabbitmq")]
pub mod transport;

#[doc(hidden)]
pub mod __private;

#[cfg(feature = "macros")]
pub use brighter_macros::{Command, Event, Message, derive, handler, request_logging, timeout, use_policy};

pub use channel::{InMemoryBroker, Publication, Subscription};
pub use context::Context;
pub use dispatcher::Dispatcher;
pub use error::{BoxError, Defer, DontAck, HandlerError, Invalid, Reject};
pub use handler::Handler;
pub use id::MessageId;
pub use message::Message;
pub use outbox::InMemoryOutbox;
pub use policy::PolicyRegistry;
pub use processor::{CommandProcessor, Sweeper};
pub use request::{Command, Event, Request};
#[cfg(feature = "sqlite")]
pub use store::sqlite::SqliteOutbox;
#[cfg(feature = "rabbitmq")]
pub use transport::rabbitmq::RabbitMq;
