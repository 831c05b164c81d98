//! What most files of an application need: `use brighter::prelude::*;`
//!
//! | part | names |
//! |---|---|
//! | requests | `Message`, `Command`, `Event` (each a derive and a trait or type), `MessageId`, serde's `Serialize` and `Deserialize` |
//! | handlers | `handler` and the step attributes, `Handler`, `Context`, `BoxError`, `HandlerError`, `Defer`, `Reject`, `Invalid`, `DontAck`, `Validate` |
//! | wiring | `CommandProcessor`, `Dispatcher`, `Subscription`, `Publication`, `Sweeper`, `Archiver`, `BuildErrors`, the policies, `Rate` |
//! | adapters | the brokers, outboxes and inboxes of the features that are on |
//! | running | the module `host`, for `host::run` and `host::Exit` |
//!
//! What only some applications name is not in it, such as the ports (`Broker`, `Outbox`), errors of single calls and
//! options of adapters. Nor are names that other crates use as well, such as `Config` and `Channel`.
//!
//! The attribute `brighter::derive` is not in it: a glob would make every `#[derive(…)]` ambiguous. Import it
//! by name where you want a message's topic inside the derive. Nor is `brighter::validate`, for other crates have
//! derives with an attribute of that name; below `#[handler]` a step needs no import. So
//! `cannot find attribute validate` means that `#[handler]` is missing above.

#[cfg(feature = "macros")]
pub use brighter_macros::{
    defer_on_error, dont_ack_on_error, fallback, feature_switch, handler, layer, monitor, reject_on_error,
    request_logging, timeout, transactional, use_inbox, use_policy,
};
#[doc(no_inline)]
pub use serde::{Deserialize, Serialize};

#[cfg(feature = "rabbitmq")]
#[doc(no_inline)]
pub use crate::RabbitMq;
#[cfg(feature = "sqlite-broker")]
#[doc(no_inline)]
pub use crate::SqliteBroker;
#[doc(no_inline)]
pub use crate::error::ErrorReport as _;
#[doc(no_inline)]
pub use crate::host;
pub use crate::policy::{CircuitBreaker, ConcurrencyLimit, Policy, RateLimit, Retry};
#[doc(no_inline)]
pub use crate::processor::BuildErrors;
#[doc(no_inline)]
pub use crate::subscription::Rate;
#[doc(no_inline)]
pub use crate::{
    Archiver, Batch, BoxError, Command, CommandProcessor, Context, ContextExt, Defer, Dispatcher, DontAck,
    Event, Handler, HandlerError, InMemoryBroker, InMemoryInbox, InMemoryOutbox, Invalid, Message, MessageId,
    PolicyRegistry, Publication, Reject, Request, Subscription, Sweeper, Validate,
};
#[cfg(feature = "mysql")]
#[doc(no_inline)]
pub use crate::{MySqlInbox, MySqlOutbox};
#[cfg(feature = "postgres")]
#[doc(no_inline)]
pub use crate::{PostgresInbox, PostgresOutbox};
#[cfg(feature = "sqlite")]
#[doc(no_inline)]
pub use crate::{SqliteInbox, SqliteOutbox};
pub use brighter_core::message::MessageHeader;
