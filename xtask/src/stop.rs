//! Signals, turned into a flag that the waiting loops look at.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

/// Set once a signal asked this process to end. Commands return instead of dying, so that what they started is taken
/// down by `Drop`.
pub(crate) struct Stop(Arc<AtomicBool>);

/// The error of a command that a signal ended.
#[derive(Debug)]
pub(crate) struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped by a signal")
    }
}

impl std::error::Error for Stopped {}

impl Stop {
    /// Listens for the signals that end a process. The second one ends it at once, for people in a hurry.
    pub(crate) fn listen() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the first signal finds the flag down, raises it, and only the next one exits.
            register_conditional_shutdown(signal, 130, Arc::clone(&flag))
                .and_then(|_| register(signal, Arc::clone(&flag)))
                .context("could not listen for signals")?;
        }
        Ok(Self(flag))
    }

    /// Sleeps for a moment. It is an error once a signal has come.
    pub(crate) fn tick(&self) -> Result<(), Stopped> {
        sleep(Duration::from_millis(50));
        match self.0.load(Ordering::SeqCst) {
            true => Err(Stopped),
            false => Ok(()),
        }
    }
}
