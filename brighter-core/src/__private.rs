//! Items that the crates of this workspace share beneath their public API. They may change in any release. All crates
//! have the same version and depend on each other by `=`, so a release need not keep the items of the one before.

pub use crate::channel::declared_otherwise;
pub use crate::clock;
pub use crate::context::Brought;
pub use crate::cut::cut;
pub use crate::error::{panic_text, report, report_lines};
pub use crate::escape::escaped;
pub use crate::fault_point;
pub use crate::inbox::Repeated;
pub use crate::message::{media_type, rfc3339};
pub use crate::outbox::Bell;
pub use crate::redact;
pub use crate::small_file;
pub use crate::trace::{Op, OpFuture, short};
pub use crate::{__fault_point as fault_point, __op as op, __readable_debug as readable_debug};

/// The counter of connections that a broker opened after the connection was lost. The broker counts, and `brighter`
/// documents the counter in its table of metrics.
pub mod reconnects {
    /// The name of the counter.
    pub const NAME: &str = "brighter.reconnects";
    /// The help text of the counter.
    pub const HELP: &str = "Connections to the broker that were made after one was lost.";
    /// The labels of the counter.
    pub const LABELS: [&str; 2] = ["messaging.system", "brighter.connection"];
}
