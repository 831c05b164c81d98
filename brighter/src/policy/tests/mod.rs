//! The policies as a pipeline uses them, and each against a model that is too simple to be wrong.

mod breaker;
mod breaker_model;
mod limits;
mod retry;
mod retry_model;
mod turns;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt};

use super::{Policy, PolicyService};
use crate::handler::Call;
use brighter_core::context::Context;
use brighter_core::error::{BoxError, Defer, DontAck, HandlerError, Invalid, Reject};
use brighter_core::id::MessageId;

const SECOND: Duration = Duration::from_secs(1);

/// What a handler does when it is called.
#[derive(Debug, Clone, Copy)]
enum Act {
    Succeed,
    Fail,
    Panic,
    Take(Duration),
}

/// A handler that follows a script, and succeeds when that is over.
#[derive(Debug, Clone, Default)]
struct Script(Arc<Mutex<(VecDeque<Act>, Vec<Instant>)>>);

impl Script {
    fn of(acts: impl IntoIterator<Item = Act>) -> Self {
        Self(Arc::new(Mutex::new((acts.into_iter().collect(), Vec::new()))))
    }

    fn failing(times: usize) -> Self {
        Self::of(vec![Act::Fail; times])
    }

    /// How often it was called.
    fn calls(&self) -> usize {
        self.times().len()
    }

    /// When it was called.
    fn times(&self) -> Vec<Instant> {
        self.0.lock().unwrap().1.clone()
    }

    async fn play(self) -> Result<(), HandlerError> {
        let act = {
            let mut script = self.0.lock().unwrap();
            script.1.push(Instant::now());
            script.0.pop_front()
        };
        match act.unwrap_or(Act::Succeed) {
            Act::Succeed => Ok(()),
            Act::Fail => Err(failed("not yet")),
            Act::Panic => panic!("oh no"),
            Act::Take(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
        }
    }

    /// This handler behind this policy.
    fn behind(
        &self,
        policy: impl Into<Policy>,
    ) -> PolicyService<
        impl Service<Call<()>, Response = (), Error = HandlerError, Future: Send> + Clone + Send + 'static,
    > {
        let script = self.clone();
        policy
            .into()
            .layer_named("test")
            .layer(tower::service_fn(move |_: Call<()>| script.clone().play()))
    }
}

fn failed(why: &str) -> HandlerError {
    HandlerError::from(BoxError::from(std::io::Error::other(why.to_owned())))
}

fn call() -> Call<()> {
    Call::new((), Context::new())
}

async fn send<S>(service: &S) -> Result<(), HandlerError>
where
    S: Service<Call<()>, Response = (), Error = HandlerError> + Clone,
{
    service.clone().oneshot(call()).await
}

/// Every error that no policy may act on.
fn untouchables() -> Vec<HandlerError> {
    let actions: [BoxError; 4] = [
        Defer::by_subscription().into(),
        Reject::because("no").into(),
        Invalid::because("no").into(),
        DontAck::because("no").into(),
    ];
    let mut errors: Vec<_> = actions.into_iter().map(HandlerError::from).collect();
    errors.push(HandlerError::Cancelled);
    errors.push(HandlerError::BrokenCircuit {
        policy: "inner".to_owned(),
        retry_delay: SECOND,
        retry: None,
    });
    errors.push(HandlerError::Overloaded {
        policy: "inner".to_owned(),
        waited: SECOND,
    });
    let (id, context) = (MessageId::new(), || "inner".to_owned());
    errors.push(HandlerError::Duplicate {
        id: id.clone(),
        context: context(),
    });
    errors.push(HandlerError::Collision {
        id: id.clone(),
        context: context(),
    });
    errors.push(HandlerError::InProgress {
        id,
        context: context(),
        retry_delay: SECOND,
    });
    errors.push(HandlerError::Inbox("away".into()));
    errors.push(HandlerError::Transaction("away".into()));
    errors
}
