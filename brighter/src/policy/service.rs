//! A [`Policy`] as a tower layer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service, ServiceExt};

use super::Policy;
use super::circuit_breaker::Permit;
use super::limit::LimitFuture;
use super::named::NamedPolicy;
use super::retry::RetryFuture;
use crate::handler::Call;
use brighter_core::error::{HandlerError, RetrySignal};

/// The layer of `#[use_policy]`.
#[derive(Debug, Clone)]
pub struct PolicyLayer(NamedPolicy);

impl Policy {
    pub(crate) fn layer_named(self, name: &str) -> PolicyLayer {
        PolicyLayer(NamedPolicy::new(name, self))
    }
}

impl<S> Layer<S> for PolicyLayer {
    type Service = PolicyService<S>;

    fn layer(&self, inner: S) -> PolicyService<S> {
        PolicyService {
            inner,
            policy: self.0.clone(),
        }
    }
}

/// The service of [`PolicyLayer`].
#[derive(Debug, Clone)]
pub struct PolicyService<S> {
    inner: S,
    policy: NamedPolicy,
}

impl<S, R> Service<Call<R>> for PolicyService<S>
where
    S: Service<Call<R>, Error = HandlerError> + Clone,
    R: Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = HandlerError;
    type Future = PolicyFuture<S, R>;

    /// Always: whether the inner service is ready is asked anew for each attempt, of a clone that the call has.
    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> PolicyFuture<S, R> {
        let name = self.policy.name();
        let attempt = |call| self.inner.clone().oneshot(call);
        let kind = match self.policy.policy() {
            Policy::None => Kind::Through {
                attempt: attempt(call),
            },
            Policy::Retry(retry) => Kind::Retry {
                attempts: RetryFuture::new(self.policy.clone(), retry, self.inner.clone(), call),
            },
            Policy::CircuitBreaker(breaker) => match breaker.admit() {
                Ok(permit) => Kind::Admitted {
                    attempt: attempt(call),
                    permit,
                    policy: self.policy.clone(),
                },
                Err(retry_delay) => Kind::Refused {
                    policy: self.policy.clone(),
                    retry_delay,
                    retry: breaker.retry_signal(),
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
        Admitted { #[pin] attempt: Oneshot<S, Call<R>>, permit: Permit, policy: NamedPolicy },
        Refused { policy: NamedPolicy, retry_delay: Duration, retry: RetrySignal },
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
            KindProj::Refused {
                policy,
                retry_delay,
                retry,
            } => Poll::Ready(Err(HandlerError::BrokenCircuit {
                policy: (**policy.name()).to_owned(),
                retry_delay: *retry_delay,
                retry: Some(retry.clone()),
            })),
            KindProj::Admitted {
                attempt,
                permit,
                policy,
            } => {
                let result = ready!(permit.watch(policy.name(), || attempt.poll(task)));
                permit.settle_by(&result, policy.name());
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
