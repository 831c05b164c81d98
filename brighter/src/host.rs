//! Runs a dispatcher until the process is told to end.

use crate::dispatcher::{Dispatcher, EndReport};

/// Why a host could not run, or did not end well.
#[derive(Debug, thiserror::Error)]
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
    Forced,
}

fn first(report: &EndReport) -> String {
    report
        .interrupted
        .first()
        .map(|message| message.id.to_string())
        .unwrap_or_default()
}

/// Receives until SIGTERM or ctrl-c, then ends: takes no more messages, lets handlers finish within the time
/// to drain, gives back what is left, and closes the processor. A second signal ends it at once.
///
/// # Errors
/// Something was cut short; the process should end with a code other than 0.
///
/// # Panics
/// Outside a tokio runtime.
///
/// ```no_run
/// # async fn example(dispatcher: brighter::Dispatcher) -> Result<(), brighter::BoxError> {
/// brighter::host::run(dispatcher).await?;
/// # Ok(())
/// # }
/// ```
pub async fn run(dispatcher: Dispatcher) -> Result<(), HostError> {
    // Before anything is consumed: from here on no signal kills the process unseen.
    let mut signals = Signals::listen().map_err(HostError::Signals)?;
    dispatcher.receive();
    tokio::select! {
        () = signals.next() => {}
        // Until every subscription consumes, there is nothing to say but what the performers say.
        () = dispatcher.consuming() => {
            tracing::info!("receiving");
            signals.next().await;
        }
    }
    tracing::info!("ending: finishing what is in hand");
    let drained = async {
        let report = dispatcher.end().await;
        dispatcher.processor().close().await;
        report
    };
    let report = tokio::select! {
        report = drained => report,
        () = signals.next() => return Err(HostError::Forced),
    };
    if report.interrupted.is_empty() {
        tracing::info!("ended");
        Ok(())
    } else {
        Err(HostError::Interrupted { report })
    }
}

/// Waits for SIGTERM or ctrl-c: for a process that has no dispatcher, such as one that only posts.
///
/// # Errors
/// The signals of the operating system cannot be listened to.
///
/// # Panics
/// Outside a tokio runtime.
///
/// ```no_run
/// # async fn serve_http() {}
/// # async fn example(processor: brighter::CommandProcessor) -> Result<(), brighter::BoxError> {
/// tokio::select! {
///     () = serve_http() => {}
///     told = brighter::host::shutdown_signal() => told?,
/// }
/// processor.close().await;
/// # Ok(())
/// # }
/// ```
pub async fn shutdown_signal() -> Result<(), HostError> {
    Signals::listen().map_err(HostError::Signals)?.next().await;
    Ok(())
}

/// The signals that tell a process to end.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
}

#[cfg(windows)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: tokio::signal::windows::ctrl_c()?,
        })
    }

    async fn next(&mut self) {
        self.interrupt.recv().await;
    }
}
