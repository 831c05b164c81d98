//! Signals, turned into a flag that the waiting loops look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts;

use crate::error::{Doing, Error, Result};

/// How long a waiting loop sleeps between two looks at its condition.
const STEP: Duration = Duration::from_millis(50);

/// Ctrl-c, a CI runner that has had enough, a terminal that was closed.
const ENDING: &[i32] = &[
    consts::SIGINT,
    consts::SIGTERM,
    #[cfg(unix)]
    consts::SIGHUP,
];

/// Set once a signal asked this process to end. Commands return instead of dying, so that what they started is
/// taken down by `Drop`.
#[derive(Clone)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for the signals that end a process. The second one ends the process at once, for people in a hurry.
    pub(crate) fn listen() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for &signal in ENDING {
            // In this order: the first signal finds the flag down, raises it, and only the next one exits.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))
                .doing("listen for signals")?;
            signal_hook::flag::register(signal, Arc::clone(&flag)).doing("listen for signals")?;
        }
        Ok(Self(flag))
    }

    /// Sleeps one step; an error once a signal has come.
    pub(crate) fn tick(&self) -> Result {
        std::thread::sleep(STEP);
        if self.0.load(Ordering::SeqCst) {
            Err(Error::Stopped)
        } else {
            Ok(())
        }
    }
}
