//! The pipeline beside the type: design.md (1), second snippet; with a plain impl, and with a short one.
#![deny(warnings)]

use brighter::pipeline::HandlerPipeline;
use brighter::prelude::*;

#[derive(Command)]
pub struct TaskReminder;

#[handler(TaskReminder)]
#[request_logging(step = 1)]
#[use_policy(circuit_breaker, step = 2)]
#[use_policy(retry, step = 3)]
pub struct Plain {
    sent: u64,
}

impl Handler<TaskReminder> for Plain {
    type Error = std::io::Error;

    async fn handle(&self, _: &TaskReminder, cx: &Context) -> Result<(), std::io::Error> {
        let _ = (cx, self.sent);
        Ok(())
    }
}

#[derive(Clone)]
#[handler(TaskReminder)]
#[brighter::timeout("5s", step = 1)]
pub enum Short {
    One,
}

#[handler(on_struct)]
impl Handler<TaskReminder> for Short {
    async fn handle(&self, _: &TaskReminder) -> Result<(), std::io::Error> {
        Ok(())
    }
}

#[handler(TaskReminder)]
pub struct Generic<T>(T);

impl<T: Send + Sync + 'static> Handler<TaskReminder> for Generic<T> {
    type Error = std::io::Error;

    async fn handle(&self, _: &TaskReminder, _: &Context) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn register<R: Request>(_: impl HandlerPipeline<R>) {}

fn main() {
    register(Plain { sent: 0 });
    register(Short::One.clone());
    register(Generic(3));
}
