//! What most files of an application need: `use brighter::prelude::*;`
//!
//! The attribute `brighter::derive` is not in it: a glob would make every `#[derive(…)]` ambiguous. Import it
//! by name where you want a message's topic inside the derive. Nor is `brighter::validate`, for other crates have
//! derives with an attribute of that name; below `#[handler]` a step needs no import. So
//! `cannot find attribute validate` means that `#[handler]` is missing above.

#[cfg(feature = "macros")]
pub use brighter_macros::{
    defer_on_error, dont_ack_on_error, fallback, feature_switch, handler, layer, monitor, reject_on_error,
    request_logging, timeout, use_inbox, use_policy,
};
#[doc(no_inline)]
pub use serde::{Deserialize, Serialize};

#[cfg(feature = "rabbitmq")]
#[doc(no_inline)]
pub use crate::RabbitMq;
#[doc(no_inline)]
pub use crate::error::ErrorReport as _;
pub use crate::policy::{CircuitBreaker, ConcurrencyLimit, Policy, RateLimit, Retry};
#[doc(no_inline)]
pub use crate::{
    BoxError, Command, CommandProcessor, Context, ContextExt, Defer, Dispatcher, DontAck, Event, Handler,
    HandlerError, InMemoryBroker, InMemoryInbox, InMemoryOutbox, Invalid, Message, MessageId, PolicyRegistry,
    Publication, Reject, Request, Subscription, Validate,
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
