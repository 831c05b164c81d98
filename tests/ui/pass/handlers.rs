//! Every form of handler.
#![deny(warnings, clippy::all)]

use std::time::Duration;

use brighter::pipeline::HandlerPipeline;
use brighter::prelude::*;

#[derive(Command)]
#[command(reply = u32)]
struct Count;

#[derive(Event)]
struct Tick<T>(T);

const HANDLED: &str = "a name of the module does not meet those of the expansion";

/// With a context, an error type and attributes of its own.
struct Whole;

#[handler]
impl brighter::Handler<Count> for Whole {
    /// The error.
    type Error = anyhow::Error;

    #[request_logging(step = 1)]
    /// Documented between.
    #[request_logging(step = 1, timing = after)]
    #[allow(clippy::unused_async)]
    async fn handle(&self, _: &Count, cx: &Context) -> anyhow::Result<u32> {
        let _ = cx;
        Ok(1)
    }
}

/// The error type of an alias is the compiler's to find.
struct Aliased;

#[handler]
impl Handler<Count> for Aliased {
    async fn handle(&self, _: &Count) -> anyhow::Result<u32> {
        let _ = HANDLED;
        anyhow::bail!("no")
    }
}

#[cfg(any())]
#[handler]
impl Handler<Count> for NotThere {}

/// With every form of policy.
struct Policies;

fn policy() -> Policy {
    Policy::timeout(Duration::from_secs(1))
}

const fn handler() -> Duration {
    Duration::from_secs(1)
}

#[handler]
#[cfg(not(any()))]
impl Handler<Count> for Policies {
    #[brighter::use_policy([retry, circuit_breaker, "a name with spaces", policy()], step = 2)]
    #[use_policy(Retry::default(), step = 10)]
    #[use_policy(Policy::timeout(handler()), step = 7)]
    #[use_policy(Into::<Policy>::into(Retry::default()), step = 4,)]
    #[timeout("250ms", step = 12)]
    async fn handle(&self, _: &Count) -> Result<u32, std::io::Error> {
        Ok(2)
    }
}

/// Generic, in itself and in what it handles.
struct Generic<S>(S);

#[handler]
impl<S, T> Handler<Tick<T>> for Generic<S>
where
    S: Fn(&T) + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    #[use_policy(retry, step = 1)]
    async fn handle(&self, Tick(tick): &Tick<T>) -> Result<(), BoxError> {
        (self.0)(tick);
        Ok(())
    }
}

/// Without `async`.
struct Ready;

#[handler]
impl Handler<Count> for Ready {
    fn handle(&self, _: &Count) -> impl Future<Output = Result<u32, std::io::Error>> + Send {
        std::future::ready(Ok(3))
    }
}

fn register<R: Request>(_: impl HandlerPipeline<R>) {}

fn main() {
    register(Whole);
    register(Aliased);
    register(Policies);
    register::<Tick<u8>>(Generic(|_: &u8| {}));
    register(Ready);
}
