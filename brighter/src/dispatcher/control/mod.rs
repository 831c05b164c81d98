//! Controlling a dispatcher by commands that are data: in this process, or over a topic of the broker.

mod command;
#[cfg(all(feature = "config", feature = "control"))]
mod configure;
#[cfg(feature = "control")]
mod handler;
mod report;
#[cfg(feature = "control")]
mod secret;
#[cfg(feature = "control")]
mod signed;
#[cfg(feature = "control")]
mod topic;

pub use command::ControlCommand;
#[cfg(feature = "control")]
pub(super) use handler::Controlled;
pub use report::ControlReport;
#[cfg(feature = "control")]
pub use secret::{ControlSecret, WeakSecret};
#[cfg(feature = "control")]
pub use topic::{Control, Nodes, SendControlError};
