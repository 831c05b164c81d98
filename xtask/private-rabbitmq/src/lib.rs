//! A RabbitMQ of one's own, from one that is installed: its own name, ports, cookie and folder. It may be stopped,
//! killed and started again with the same data, and leaves nothing behind, however the process ends that holds it.

mod amqp;
mod broker;
mod error;
mod install;
mod keeper;
mod settings;

pub use amqp::version;
pub use broker::Broker;
pub use error::Error;
pub use install::Install;
pub use settings::{Settings, Tls};

use error::{Doing, Result, failed};
