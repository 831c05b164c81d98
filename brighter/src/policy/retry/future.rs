//! [`RetryFuture`]: one call, with its attempts.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use tower::Service;

use super::Retry;
use crate::handler::Call;
use crate::policy::delay::Delays;
use crate::policy::named::NamedPolicy;
use crate::telemetry::metrics;
use brighter_core::error::HandlerError;

pin_project! {
    /// One call, with its attempts.
    pub(in crate::policy) struct RetryFuture<S, R>
    where
        S: Service<Call<R>>,
    {
        #[pin]
        state: State<S::Future>,
        policy: NamedPolicy,
        service: S,
        call: Call<R>,
        left: u32,
        // Rare enough for a box, as a wait is.
        delays: Option<Box<Delays>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Asking,
        Calling { #[pin] attempt: F },
        // Rare enough for a box: a wait has no name, and no call that succeeds gets here.
        Waiting { wait: BoxFuture<'static, Wait>, error: Option<HandlerError> },
    }
}

enum Wait {
    Over,
    Cancelled,
}

impl<S: Service<Call<R>>, R> RetryFuture<S, R> {
    pub(in crate::policy) fn new(policy: NamedPolicy, retry: &Retry, service: S, call: Call<R>) -> Self {
        retry.began();
        Self {
            state: State::Asking,
            left: retry.attempts.saturating_sub(1),
            policy,
            service,
            call,
            delays: None,
        }
    }
}

impl<S, R> Future for RetryFuture<S, R>
where
    S: Service<Call<R>, Error = HandlerError>,
    R: Send + Sync + 'static,
{
    type Output = Result<S::Response, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let result = match this.state.as_mut().project() {
                StateProj::Asking => match ready!(this.service.poll_ready(task)) {
                    Ok(()) => {
                        let attempt = this.service.call(this.call.clone());
                        this.state.set(State::Calling { attempt });
                        continue;
                    }
                    Err(error) => Err(error),
                },
                StateProj::Calling { attempt } => ready!(attempt.poll(task)),
                StateProj::Waiting { wait, error } => match ready!(wait.as_mut().poll(task)) {
                    Wait::Over => {
                        this.state.set(State::Asking);
                        continue;
                    }
                    Wait::Cancelled => {
                        return Poll::Ready(Err(error.take().unwrap_or(HandlerError::Cancelled)));
                    }
                },
            };
            let (error, retry) = match (result, this.policy.retry()) {
                (Err(error), Some(retry)) if *this.left > 0 && retry.is_worth_it(&error) => (error, retry),
                (result, _) => return Poll::Ready(result),
            };
            let policy: &str = this.policy.name();
            if let Err(spent) = retry.may_retry() {
                let left = *this.left;
                let said = "not trying again: the retry budget is spent";
                match spent.is_news {
                    true => tracing::warn!(policy, error = error.report(), left, "{said}"),
                    false => tracing::debug!(policy, error = error.report(), left, "{said}"),
                }
                return Poll::Ready(Err(error));
            }
            *this.left -= 1;
            metrics::retries(policy);
            let delays = this.delays.get_or_insert_with(|| Box::new(retry.delay.delays()));
            let delay = delays.next();
            // The line at `info` is written once the last attempt has failed.
            tracing::debug!(
                policy,
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
    }
}

async fn wait<R>(delay: Duration, call: Call<R>) -> Wait {
    tokio::select! {
        () = tokio::time::sleep(delay) => Wait::Over,
        () = call.context().cancelled() => Wait::Cancelled,
    }
}
