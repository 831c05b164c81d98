//! Listening for the signals that tell a process to end, also while every thread of its runtime is blocked.

use std::io;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::Signal;

/// How long a process may take to end by itself after a second signal.
const FORCED_WITHIN: Duration = Duration::from_secs(1);

/// How often the process was told to end, and by which signal last.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    times: u32,
    last: Option<Signal>,
}

/// Hears signals in a thread of its own, so that a handler that blocks the runtime does not make the process deaf.
#[derive(Clone)]
pub(super) struct Ear(watch::Receiver<Told>);

impl Ear {
    /// Begins to listen: from here on no signal kills the process unseen.
    ///
    /// If `force` is true, the thread ends the process a second after a second signal, should it still be there.
    pub(super) async fn listen(force: bool) -> io::Result<Self> {
        let (told, ear) = watch::channel(Told::default());
        let (ready, listening) = oneshot::channel();
        std::thread::Builder::new()
            .name("brighter-signals".to_owned())
            .spawn(move || hear(ready, &told, force))?;
        let heard = listening.await;
        heard.unwrap_or_else(|_| Err(io::Error::other("the thread that listens for signals has died")))?;
        Ok(Self(ear))
    }

    /// Waits until the process was told to end so many times.
    pub(super) async fn told(mut self, times: u32) -> Signal {
        match self.0.wait_for(|told| told.times >= times).await {
            Ok(told) => told.last.unwrap_or(Signal::Terminate),
            // Without its thread no signal comes.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Listens for signals, to the end of the process or, if no signal has come by then, to the end of the host.
fn hear(ready: oneshot::Sender<io::Result<()>>, told: &watch::Sender<Told>, force: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let _ = ready.send(Ok(()));
        loop {
            let signal = tokio::select! {
                signal = signals.next() => signal,
                // A process that was told to end may still hang after its host has ended.
                () = told.closed(), if told.borrow().times == 0 => return,
            };
            told.send_modify(|told| {
                told.times += 1;
                told.last = Some(signal);
            });
            if told.borrow().times >= 2 && force {
                tokio::time::sleep(FORCED_WITHIN).await;
                std::process::exit(i32::from(signal.code()));
            }
        }
    });
}

/// The signals that tell a process to end.
#[cfg(unix)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

#[cfg(windows)]
pub(super) struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
}

#[cfg(windows)]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: tokio::signal::windows::ctrl_c()?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        self.interrupt.recv().await;
        Signal::Interrupt
    }
}
