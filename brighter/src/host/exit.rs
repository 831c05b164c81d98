//! [`Exit`]: what a program that runs a host returns from `main`.

use std::process::{ExitCode, Termination};

use super::HostError;

/// How a host ended, to be returned from `main`: the process ends with the code of the [`HostError`], or with 0.
///
/// | code | meaning |
/// |---|---|
/// | 0 | all that was in hand was finished |
/// | 1 | the host could not run |
/// | 75 | the time to drain was over: some messages were given back (`EX_TEMPFAIL`) |
/// | 130, 143 | a second signal came, ctrl-c or SIGTERM: 128 and the signal's number |
///
/// Nothing is lost by any of them. The error is printed to the standard error.
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
#[derive(Debug)]
#[must_use = "the code is the code of the process when `main` returns this"]
pub struct Exit(Result<(), HostError>);

impl Exit {
    /// The end of a program that had nothing to cut short.
    pub const SUCCESS: Self = Self(Ok(()));
}

impl From<Result<(), HostError>> for Exit {
    fn from(ended: Result<(), HostError>) -> Self {
        Self(ended)
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        match self.0 {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("Error: {error:?}");
                ExitCode::from(error.code())
            }
        }
    }
}
