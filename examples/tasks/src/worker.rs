//! The worker: takes reminders from the queue and mails them.

use std::sync::Arc;

use brighter::channel::Broker;
use brighter::config::Config;
use brighter::processor::BuildErrors;
use brighter::{CommandProcessor, Dispatcher, PolicyRegistry, Subscription};

use crate::handler::MailTaskReminderHandler;
use crate::mail::MailGateway;
use crate::message::TaskReminder;

/// The queue of the worker, unless it is told otherwise.
pub const QUEUE: &str = "task-reminders";

/// A dispatcher that mails what this subscription brings, as the configuration says if there is one. Run it with [`brighter::host::run`].
///
/// # Errors
/// What is wrong with how it is put together.
pub fn worker(
    broker: impl Broker,
    mail: Arc<dyn MailGateway>,
    policies: PolicyRegistry,
    subscription: Subscription<TaskReminder>,
    config: Option<&Config>,
) -> Result<Dispatcher, BuildErrors> {
    let processor = CommandProcessor::builder()
        .handler(MailTaskReminderHandler::new(mail))
        .policies(policies)
        .broker(broker);
    match config {
        Some(config) => Dispatcher::builder(processor.configure(config).build()?)
            .subscription(subscription)
            .configure(config)
            .build(),
        None => Dispatcher::builder(processor.build()?)
            .subscription(subscription)
            .build(),
    }
}
