//! [`Retry`]: tries again what failed.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Service, ServiceExt};

use super::delay::{Delay, Delays};
use crate::error::HandlerError;
use crate::handler::Call;

/// Tries again what failed, with waits that grow.
///
/// Only what may get better is tried again: see [`HandlerError::is_retryable`]. A shutdown ends the wait, and
/// the last error is the outcome.
///
/// The default is four attempts, with waits of about 50, 100 and 200 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    attempts: NonZeroU32,
    delay: Delay,
}

impl Default for Retry {
    fn default() -> Self {
        Self::attempts(4)
    }
}

impl Retry {
    /// This many attempts in all, the first one counted; 0 is taken for 1.
    #[must_use]
    pub fn attempts(attempts: u32) -> Self {
        let delay = Delay::Exponential {
            first: Duration::from_millis(50),
            limit: Duration::from_secs(10),
        };
        Self {
            attempts: NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN),
            delay,
        }
    }

    /// Waits this long between attempts.
    #[must_use]
    pub fn fixed(mut self, delay: Duration) -> Self {
        self.delay = Delay::Fixed(delay);
        self
    }

    /// Waits about `first`, then twice that, and so on up to `limit`, each spread at random by half.
    #[must_use]
    pub fn exponential(mut self, first: Duration, limit: Duration) -> Self {
        self.delay = Delay::Exponential { first, limit };
        self
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retry, {} attempts, ", self.attempts)?;
        match self.delay {
            Delay::Fixed(delay) => write!(f, "{delay:?} apart"),
            Delay::Exponential { first, limit } => {
                write!(f, "waiting about {first:?} and doubling up to {limit:?}")
            }
        }
    }
}

pin_project! {
    /// One call, with its attempts.
    pub(super) struct RetryFuture<S, R>
    where
        S: Service<Call<R>>,
    {
        #[pin]
        state: State<S, R>,
        name: std::sync::Arc<str>,
        service: S,
        call: Call<R>,
        left: u32,
        delay: Delay,
        delays: Option<Delays>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R>
    where
        S: Service<Call<R>>,
    {
        Calling { #[pin] attempt: Oneshot<S, Call<R>> },
        // Rare enough for a box: a wait has no name, and no call that succeeds gets here.
        Waiting { wait: BoxFuture<'static, Wait> , error: Option<HandlerError> },
    }
}

enum Wait {
    Over,
    Cancelled,
}

impl<S: Service<Call<R>> + Clone, R> RetryFuture<S, R> {
    pub(super) fn new(name: std::sync::Arc<str>, retry: Retry, service: S, call: Call<R>) -> Self {
        Self {
            state: State::Calling {
                attempt: service.clone().oneshot(call.clone()),
            },
            name,
            service,
            call,
            left: retry.attempts.get() - 1,
            delay: retry.delay,
            delays: None,
        }
    }
}

impl<S, R> Future for RetryFuture<S, R>
where
    S: Service<Call<R>, Error = HandlerError> + Clone,
    R: Send + Sync + 'static,
{
    type Output = Result<S::Response, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Calling { attempt } => {
                    let error = match ready!(attempt.poll(task)) {
                        Err(error) if *this.left > 0 && error.is_retryable() => error,
                        result => return Poll::Ready(result),
                    };
                    *this.left -= 1;
                    let delay = this.delays.get_or_insert_with(|| this.delay.delays()).next();
                    tracing::info!(
                        policy = %this.name,
                        error = error.report(),
                        left = *this.left + 1,
                        ?delay,
                        "trying again"
                    );
                    let wait = Box::pin(wait(delay, this.call.clone()));
                    this.state.set(State::Waiting {
                        wait,
                        error: Some(error),
                    });
                }
                StateProj::Waiting { wait, error } => match ready!(wait.as_mut().poll(task)) {
                    Wait::Over => {
                        let attempt = this.service.clone().oneshot(this.call.clone());
                        this.state.set(State::Calling { attempt });
                    }
                    Wait::Cancelled => {
                        return Poll::Ready(Err(error.take().unwrap_or(HandlerError::Cancelled)));
                    }
                },
            }
        }
    }
}

async fn wait<R>(delay: Duration, call: Call<R>) -> Wait {
    tokio::select! {
        () = tokio::time::sleep(delay) => Wait::Over,
        () = call.context().cancelled() => Wait::Cancelled,
    }
}
