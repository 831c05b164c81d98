//! The worker: takes reminders from the queue and mails them.

use std::sync::Arc;

use brighter::channel::Broker;
use brighter::processor::BuildErrors;
use brighter::{CommandProcessor, Dispatcher, PolicyRegistry, Subscription};

use crate::handler::MailTaskReminderHandler;
use crate::mail::MailGateway;
use crate::message::TaskReminder;

/// The queue of the worker, unless it is told otherwise.
pub const QUEUE: &str = "task-reminders";

/// A dispatcher that mails what this subscription brings. Run it with [`brighter::host::run`].
///
/// # Errors
/// What is wrong with how it is put together.
pub fn worker(
    broker: impl Broker,
    mail: Arc<dyn MailGateway>,
    policies: PolicyRegistry,
    subscription: Subscription<TaskReminder>,
) -> Result<Dispatcher, BuildErrors> {
    let processor = CommandProcessor::builder()
        .handler(MailTaskReminderHandler::new(mail))
        .policies(policies)
        .broker(broker)
        .build()?;
    Dispatcher::builder(processor).subscription(subscription).build()
}
