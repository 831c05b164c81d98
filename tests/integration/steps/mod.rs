//! The steps that are no policies: what each does, and which comes first.

mod errors;
mod logging;
mod order;
mod others;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brighter::error::{ActionKind, PumpAction};
use brighter::prelude::*;
use brighter::processor::SendError;

/// Fails `fails` times with what `with` makes, and then gives 7.
#[derive(Command)]
#[command(reply = u32)]
struct Try {
    fails: u32,
    with: fn() -> BoxError,
}

fn plain() -> BoxError {
    "not yet".into()
}

fn times(fails: u32) -> Try {
    Try { fails, with: plain }
}

impl Validate for Try {
    type Error = String;

    fn validate(&self) -> Result<(), String> {
        if self.fails > 100 {
            Err(format!("{} is too often", self.fails))
        } else {
            Ok(())
        }
    }
}

/// Counts how often it was called.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicU32>);

impl Calls {
    fn attempt(&self, request: &Try) -> Result<u32, BoxError> {
        let calls = self.0.fetch_add(1, Ordering::Relaxed);
        if calls < request.fails {
            Err((request.with)())
        } else {
            Ok(7)
        }
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! handler_with {
    ($name:ident, $($step:meta),+) => {
        #[derive(Clone, Default)]
        struct $name(Calls);
        #[handler]
        impl Handler<Try> for $name {
            $(#[$step])+
            async fn handle(&self, request: &Try) -> Result<u32, BoxError> {
                self.0.attempt(request)
            }
        }
    };
}

const SECOND: Duration = Duration::from_secs(1);

fn policies() -> PolicyRegistry {
    PolicyRegistry::default()
        .insert("retry", Retry::attempts(3).fixed(SECOND))
        .insert("circuit_breaker", CircuitBreaker::consecutive(1, 10 * SECOND))
}

fn handler_error(error: SendError) -> HandlerError {
    match error {
        SendError::Handler(error) => error,
        other => panic!("{other}"),
    }
}

fn kind(error: &HandlerError) -> Option<ActionKind> {
    error.action().map(PumpAction::kind)
}

use handler_with;
