//! [`HostError`]: how a host did not end well, and the code that its process should end with.

use std::process::ExitCode;

use super::Signal;
use crate::dispatcher::EndReport;

/// Why a host could not run, or did not end well.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The signals of the operating system cannot be listened to.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// Handlers had not finished when the time to drain was over. Their messages were given back, and will be
    /// delivered again.
    #[error("{} messages were cut short and given back; the first is `{}`", report.interrupted.len(), first(report))]
    Interrupted {
        /// Which.
        report: EndReport,
    },
    /// A second signal came while handlers were still finishing. Their messages will be delivered again.
    #[error("ended at once by a second signal; what was being handled will be delivered again")]
    Forced {
        /// The second signal.
        signal: Signal,
    },
}

brighter_core::__private::readable_debug!(HostError);

fn first(report: &EndReport) -> String {
    let first = report.interrupted.first();
    first.map(|message| message.id.to_string()).unwrap_or_default()
}

impl HostError {
    /// The code that tells a supervisor of processes how this one ended.
    ///
    /// | code | meaning |
    /// |---|---|
    /// | 0 | all that was in hand was finished |
    /// | 1 | the host could not run |
    /// | 75 | the time to drain was over: some messages were given back (`EX_TEMPFAIL`) |
    /// | 130, 143 | a second signal came, ctrl-c or SIGTERM: 128 and the signal's number |
    ///
    /// Nothing is lost by any of them.
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    ///
    /// # async fn example(dispatcher: brighter::Dispatcher) -> ExitCode {
    /// match brighter::host::run(dispatcher).await {
    ///     Ok(()) => ExitCode::SUCCESS,
    ///     Err(error) => {
    ///         eprintln!("{error}");
    ///         error.exit_code()
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// The same code as a number.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Signals(_) => 1,
            Self::Interrupted { .. } => 75,
            Self::Forced { signal } => signal.code(),
        }
    }
}
