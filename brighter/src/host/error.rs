//! [`HostError`]: how a host did not end well, and the code that its process should end with.

use super::Signal;
use crate::dispatcher::ShutdownReport;

/// Why a host could not run, or did not end well.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The signals of the operating system cannot be listened to.
    #[error("cannot listen for signals; use `host::run_until` where the system has none")]
    Signals(#[source] std::io::Error),
    /// Handlers had not finished when the time to drain was over. Their messages were given back, and will be
    /// delivered again.
    #[error("the handling of {} messages was cancelled and they were returned to their channels; the first is `{}`", report.interrupted.len(), first(report))]
    Interrupted {
        /// Which.
        report: ShutdownReport,
    },
    /// A second signal came while handlers were still finishing. Their messages will be delivered again.
    #[error("ended at once by a second signal; messages in flight will be delivered again")]
    Forced {
        /// The second signal.
        signal: Signal,
    },
}

brighter_core::__private::readable_debug!(HostError);

fn first(report: &ShutdownReport) -> String {
    let first = report.interrupted.first();
    first.map(|message| message.id.to_string()).unwrap_or_default()
}

impl HostError {
    /// Returns the code that the process should end with, as a number. [`Exit`](super::Exit) ends it so.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Signals(_) => 1,
            Self::Interrupted { .. } => 75,
            Self::Forced { signal } => signal.code(),
        }
    }
}
