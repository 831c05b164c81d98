//! What the crates of this workspace share beneath their public API. Not for people: it may change in any release. All
//! of them have one version and depend on each other by `=`, so what one release has here the next need not have.

pub use crate::channel::declared_otherwise;
pub use crate::clock;
pub use crate::context::Brought;
pub use crate::cut::cut;
pub use crate::error::{panic_text, report};
pub use crate::fault_point;
pub use crate::inbox::Repeated;
pub use crate::message::rfc3339;
pub use crate::outbox::Bell;
pub use crate::trace::{Op, short};
pub use crate::{__fault_point as fault_point, __op as op, __readable_debug as readable_debug};

/// The counter of connections that a broker made after one was lost. The broker counts, and `brighter` documents it in
/// its table of metrics.
pub mod reconnects {
    /// Its name.
    pub const NAME: &str = "brighter.reconnects";
    /// What it says.
    pub const HELP: &str = "Connections to the broker that were made after one was lost.";
    /// Its labels.
    pub const LABELS: [&str; 2] = ["messaging.system", "brighter.connection"];
}
