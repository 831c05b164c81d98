//! Runs a dispatcher until the process is told to end.

mod error;
mod exit;
#[cfg(feature = "signals")]
mod listen;
mod signal;
mod systemd;

use std::convert::Infallible;
use std::future::{Future, pending};

pub use error::HostError;
pub use exit::Exit;
pub use signal::Signal;

#[cfg(feature = "signals")]
use self::listen::{Ear, Signals};
use self::systemd::Systemd;
use crate::dispatcher::Dispatcher;

/// Receives until SIGTERM or ctrl-c, then ends. [`Host`] explains in which steps, and takes settings.
///
/// Return what it gives from `main` as an [`Exit`], so that the process ends with the right code:
///
/// ```no_run
/// use brighter::prelude::*;
///
/// # fn wire() -> Result<Dispatcher, BoxError> { Err("no".into()) }
/// #[tokio::main]
/// async fn main() -> Result<host::Exit, BoxError> {
///     let dispatcher = wire()?;
///     Ok(host::run(dispatcher).await.into())
/// }
/// ```
///
/// # Errors
/// The host could not run, or something was cut short: see [`HostError`].
///
/// # Panics
/// Outside a tokio runtime.
#[cfg(feature = "signals")]
pub async fn run(dispatcher: Dispatcher) -> Result<(), HostError> {
    Host::new(dispatcher).run().await
}

/// Receives until this future ends, then ends as [`run`] does. It listens for no signals: use it in a program that
/// listens for them itself, or where there are none, such as a service of Windows.
///
/// ```
/// # use std::time::Duration;
/// # async fn example(dispatcher: brighter::Dispatcher) -> Result<(), brighter::host::HostError> {
/// let an_hour = tokio::time::sleep(Duration::from_secs(3600));
/// brighter::host::run_until(dispatcher, an_hour).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`HostError::Interrupted`] if something was cut short.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn run_until(dispatcher: Dispatcher, told: impl Future<Output = ()>) -> Result<(), HostError> {
    Host::new(dispatcher).run_until(told).await
}

/// Runs a dispatcher until the process is told to end, by SIGTERM or ctrl-c (feature `signals`, which is on by default), and
/// then ends it in steps:
///
/// 1. **Warm**: it takes no more messages, gives back what was not begun, and lets handlers finish. Their
///    [`Context`](crate::Context) is cancelled, so a long one can give up. Heartbeats go on, acknowledgements are
///    written, and what handlers have posted is sent. If all is done, [`run`](Self::run) returns `Ok`.
/// 2. **Soft**: the [time to drain](crate::dispatcher::DispatcherBuilder::drain_timeout) is over. Handlers are cut short where
///    they wait, their messages are given back, and `run` returns [`HostError::Interrupted`], which names them.
/// 3. **Hard**: a second signal comes, whenever. `run` returns [`HostError::Forced`] at once; what was in hand goes back as
///    if the process had crashed. If the process is still there a second later, because a handler blocks its thread
///    and the runtime cannot end, it is ended on the spot.
///
/// Nothing is lost in any of them. The processor is closed with the dispatcher.
///
/// Where systemd asks for it (`Type=notify`, by the variable `NOTIFY_SOCKET`), it is told `READY=1` once every
/// subscription is consumed, a line of status whenever that changes, `STOPPING=1` when ending begins, and, where
/// `WatchdogSec=` asks for that, `WATCHDOG=1` for as long as the runtime turns and every subscription that was
/// started is looked after. That the broker is away is no reason to be restarted, so it does not stop the sign of
/// life; but until the first connection there is no `READY=1`, for which systemd waits `TimeoutStartSec=` long.
#[derive(Debug)]
#[must_use = "nothing runs until `run` is called"]
pub struct Host {
    dispatcher: Dispatcher,
    #[cfg(feature = "signals")]
    force: bool,
}

impl Host {
    /// A host of this dispatcher. Keep a clone of it to steer it while it runs.
    pub fn new(dispatcher: Dispatcher) -> Self {
        Self {
            dispatcher,
            #[cfg(feature = "signals")]
            force: true,
        }
    }

    /// Leaves it to the caller to end the process after a second signal, though it may hang.
    #[cfg(feature = "signals")]
    pub fn without_exit(mut self) -> Self {
        self.force = false;
        self
    }

    /// Receives until SIGTERM or ctrl-c, and ends.
    ///
    /// # Errors
    /// The host could not run, or something was cut short: see [`HostError`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "signals")]
    pub async fn run(self) -> Result<(), HostError> {
        // Before anything is consumed: from here on no signal kills the process unseen.
        let ear = Ear::listen(self.force).await.map_err(HostError::Signals)?;
        self.serve(ear.clone().told(1), ear.told(2)).await
    }

    /// Receives until this future ends, and ends. It listens for no signals, so that nothing cuts the time to drain short.
    ///
    /// # Errors
    /// [`HostError::Interrupted`] if something was cut short.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn run_until(self, told: impl Future<Output = ()>) -> Result<(), HostError> {
        self.serve(told, pending()).await
    }

    /// Receives until it is told to end, and ends; at once if it is told a second time.
    async fn serve<T>(
        self,
        told: impl Future<Output = T>,
        again: impl Future<Output = Signal>,
    ) -> Result<(), HostError> {
        let systemd = Systemd::from_environment();
        self.dispatcher.receive();
        let life = self.signs_of_life(&systemd);
        let served = async {
            tokio::select! {
                _ = told => {}
                never = self.tell(&systemd) => match never {},
            }
            tracing::info!("shutting down; finishing messages in flight");
            systemd.tell("STOPPING=1\nSTATUS=finishing what is in hand");
            let drained = async {
                let report = self.dispatcher.end().await;
                self.dispatcher.processor().close().await;
                report
            };
            tokio::select! {
                report = drained => Ok(report),
                signal = again => Err(HostError::Forced { signal }),
            }
        };
        let report = tokio::select! {
            report = served => report?,
            never = life => match never {},
        };
        if report.interrupted.is_empty() {
            tracing::info!("ended");
            Ok(())
        } else {
            Err(HostError::Interrupted { report })
        }
    }

    /// Reports that every subscription is consumed, then every change. Never returns.
    async fn tell(&self, systemd: &Systemd) -> Infallible {
        // Until every subscription consumes, there is nothing to say but what the performers say.
        let mut changes = self.dispatcher.changes();
        self.dispatcher.wait_until_consuming().await;
        tracing::info!("receiving");
        systemd.tell("READY=1\nSTATUS=ready");
        if !systemd.is_told() {
            return pending().await;
        }
        let mut told = "ready".to_owned();
        loop {
            let readiness = self.dispatcher.readiness().to_string();
            if readiness != told {
                systemd.tell_status(&readiness);
                told = readiness;
            }
            changes.changed().await;
        }
    }

    /// Sends the watchdog notifications that systemd asks for. Never returns.
    async fn signs_of_life(&self, systemd: &Systemd) -> Infallible {
        let Some(every) = systemd.watchdog() else {
            return pending().await;
        };
        let mut due = tokio::time::interval(every);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            if self.dispatcher.is_looked_after() {
                systemd.tell("WATCHDOG=1");
            }
        }
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
#[cfg(feature = "signals")]
pub async fn shutdown_signal() -> Result<(), HostError> {
    Signals::listen().map_err(HostError::Signals)?.next().await;
    Ok(())
}
