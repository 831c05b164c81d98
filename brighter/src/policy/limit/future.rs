//! [`LimitFuture`]: one call, once it is let in.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Service, ServiceExt};

use super::{Admission, LimitPermit};
use crate::handler::Call;
use brighter_core::error::HandlerError;

pin_project! {
    /// One call, once it is let in.
    pub(in crate::policy) struct LimitFuture<S, R>
    where
        S: Service<Call<R>>,
    {
        #[pin]
        state: State<S, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R>
    where
        S: Service<Call<R>>,
    {
        Waiting {
            wait: BoxFuture<'static, Result<LimitPermit, HandlerError>>,
            then: Option<(S, Call<R>)>,
        },
        Running { #[pin] attempt: Oneshot<S, Call<R>>, place: LimitPermit },
        Refused { error: Option<HandlerError> },
    }
}

impl<S: Service<Call<R>>, R> LimitFuture<S, R> {
    pub(in crate::policy) fn new(entry: Admission, service: S, call: Call<R>) -> Self {
        let state = match entry {
            Admission::Now(place) => State::Running {
                attempt: service.oneshot(call),
                place,
            },
            Admission::Later(wait) => State::Waiting {
                wait,
                then: Some((service, call)),
            },
            Admission::Refused(error) => State::Refused { error: Some(error) },
        };
        Self { state }
    }
}

impl<S, R> Future for LimitFuture<S, R>
where
    S: Service<Call<R>, Error = HandlerError>,
{
    type Output = Result<S::Response, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Waiting { wait, then } => {
                    let place = ready!(wait.as_mut().poll(task));
                    let next = match (place, then.take()) {
                        (Ok(place), Some((service, call))) => State::Running {
                            attempt: service.oneshot(call),
                            place,
                        },
                        (Ok(_), None) => State::Refused { error: None },
                        (Err(error), _) => State::Refused { error: Some(error) },
                    };
                    this.state.set(next);
                }
                StateProj::Running { attempt, place } => {
                    let result = ready!(attempt.poll(task));
                    // Not when somebody gets round to dropping the future.
                    *place = None;
                    return Poll::Ready(result);
                }
                StateProj::Refused { error } => {
                    return Poll::Ready(Err(error.take().unwrap_or(HandlerError::Cancelled)));
                }
            }
        }
    }
}
