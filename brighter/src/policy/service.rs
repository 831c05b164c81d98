//! A [`Policy`] as a tower layer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service, ServiceExt};

use super::Policy;
use super::circuit_breaker::Permit;
use super::limit::LimitFuture;
use super::retry::RetryFuture;
use crate::error::HandlerError;
use crate::handler::Call;

/// The layer of `#[use_policy]`.
#[derive(Debug, Clone)]
pub struct PolicyLayer {
    name: Arc<str>,
    policy: Policy,
}

impl PolicyLayer {
    pub(super) fn new(name: &str, policy: Policy) -> Self {
        Self {
            name: name.into(),
            policy,
        }
    }
}

impl<S> Layer<S> for PolicyLayer {
    type Service = PolicyService<S>;

    fn layer(&self, inner: S) -> PolicyService<S> {
        PolicyService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service of [`PolicyLayer`].
#[derive(Debug, Clone)]
pub struct PolicyService<S> {
    inner: S,
    layer: PolicyLayer,
}

impl<S, R> Service<Call<R>> for PolicyService<S>
where
    S: Service<Call<R>, Error = HandlerError> + Clone,
    R: Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = HandlerError;
    type Future = PolicyFuture<S, R>;

    /// Always: whether the inner service is ready is asked anew for each attempt, of a clone of its own.
    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> PolicyFuture<S, R> {
        let PolicyLayer { name, policy } = &self.layer;
        let attempt = |call| self.inner.clone().oneshot(call);
        let kind = match policy {
            Policy::None => Kind::Through {
                attempt: attempt(call),
            },
            Policy::Retry(retry) => Kind::Retry {
                attempts: RetryFuture::new(name.clone(), retry.clone(), self.inner.clone(), call),
            },
            Policy::CircuitBreaker(breaker) => match breaker.admit() {
                Ok(permit) => Kind::Admitted {
                    attempt: attempt(call),
                    permit,
                    name: name.clone(),
                },
                Err(retry_after) => Kind::Refused {
                    name: name.clone(),
                    retry_after,
                },
            },
            Policy::ConcurrencyLimit(limit) => Kind::Limited {
                attempt: LimitFuture::new(limit.enter(name, &call), self.inner.clone(), call),
            },
            Policy::RateLimit(limit) => Kind::Limited {
                attempt: LimitFuture::new(limit.enter(name, &call), self.inner.clone(), call),
            },
            Policy::Timeout(after) => Kind::Timeout {
                attempt: tokio::time::timeout(*after, attempt(call)),
                after: *after,
            },
        };
        PolicyFuture { kind }
    }
}

pin_project! {
    /// The future of [`PolicyService`].
    pub struct PolicyFuture<S, R>
    where
        S: Service<Call<R>>,
    {
        #[pin]
        kind: Kind<S, R>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<S, R>
    where
        S: Service<Call<R>>,
    {
        Through { #[pin] attempt: Oneshot<S, Call<R>> },
        Retry { #[pin] attempts: RetryFuture<S, R> },
        Admitted { #[pin] attempt: Oneshot<S, Call<R>>, permit: Permit, name: Arc<str> },
        Refused { name: Arc<str>, retry_after: Duration },
        Limited { #[pin] attempt: LimitFuture<S, R> },
        Timeout { #[pin] attempt: tokio::time::Timeout<Oneshot<S, Call<R>>>, after: Duration },
    }
}

impl<S, R> Future for PolicyFuture<S, R>
where
    S: Service<Call<R>, Error = HandlerError> + Clone,
    R: Send + Sync + 'static,
{
    type Output = Result<S::Response, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Through { attempt } => attempt.poll(task),
            KindProj::Retry { attempts } => attempts.poll(task),
            KindProj::Refused { name, retry_after } => Poll::Ready(Err(HandlerError::BrokenCircuit {
                policy: name.to_string(),
                retry_after: *retry_after,
            })),
            KindProj::Admitted {
                attempt,
                permit,
                name,
            } => {
                let result = ready!(permit.watch(name, || attempt.poll(task)));
                permit.settle_by(&result, name);
                Poll::Ready(result)
            }
            KindProj::Limited { attempt } => attempt.poll(task),
            KindProj::Timeout { attempt, after } => match ready!(attempt.poll(task)) {
                Ok(result) => Poll::Ready(result),
                Err(_) => Poll::Ready(Err(HandlerError::TimedOut { after: *after })),
            },
        }
    }
}
