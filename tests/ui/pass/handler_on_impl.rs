//! A message, a handler and its pipeline: design.md (1), first snippet.
#![deny(warnings)]

use std::sync::Arc;

use brighter::pipeline::HandlerPipeline;
use brighter::prelude::*;

#[derive(Debug)]
pub struct MailError;

impl std::fmt::Display for MailError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no mail")
    }
}

impl std::error::Error for MailError {}

pub trait MailGateway: Send + Sync {
    fn send(&self, reminder: &TaskReminder) -> std::future::Ready<Result<(), MailError>>;
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Reminder")]
pub struct TaskReminder {
    pub id: MessageId,
    pub task_name: String,
    pub due: String,
    pub recipient: String,
}

pub struct MailTaskReminderHandler {
    mail: Arc<dyn MailGateway>,
}

#[handler]
impl Handler<TaskReminder> for MailTaskReminderHandler {
    #[request_logging(step = 1, timing = before)]
    #[use_policy(circuit_breaker, step = 2)]
    #[use_policy(retry, step = 3)]
    async fn handle(&self, reminder: &TaskReminder) -> Result<(), MailError> {
        self.mail.send(reminder).await
    }
}

struct NoMail;

impl MailGateway for NoMail {
    fn send(&self, _: &TaskReminder) -> std::future::Ready<Result<(), MailError>> {
        std::future::ready(Err(MailError))
    }
}

fn register<R: Request>(_: impl HandlerPipeline<R>) {}

fn main() {
    register(MailTaskReminderHandler {
        mail: Arc::new(NoMail),
    });
    assert_eq!(
        <TaskReminder as brighter::mapper::Postable>::TOPIC,
        "Task.Reminder"
    );
}
