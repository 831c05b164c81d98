//! A program that is configured: two subscriptions, and a handler with a policy.

use std::path::Path;

use brighter::config::Config;
use brighter::dispatcher::ControlSecret;
use brighter::prelude::*;
use brighter::processor::BuildErrors;
use brighter::transport::rabbitmq::RabbitMqBuilder;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Task.Reminder")]
pub(super) struct Remind;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Task.Overdue")]
pub(super) struct Overdue;

pub(super) struct Handles;

#[handler]
impl Handler<Remind> for Handles {
    #[use_policy(retry, step = 1)]
    async fn handle(&self, _: &Remind) -> Result<(), std::io::Error> {
        Ok(())
    }
}

#[handler]
impl Handler<Overdue> for Handles {
    async fn handle(&self, _: &Overdue) -> Result<(), std::io::Error> {
        Ok(())
    }
}

/// Puts it together; gives everything that is wrong, as a person sees it.
pub(super) fn start(file: Option<&Path>, variables: Vec<(String, String)>) -> Result<(), String> {
    let loader = brighter::config::loader().variables(variables);
    let loader = match file {
        Some(file) => loader.file(file),
        None => loader,
    };
    let config = loader.load().map_err(|errors| errors.to_string())?;
    let _ = RabbitMqBuilder::from_config(&config).map_err(|errors| errors.to_string())?;
    let _ = ControlSecret::from_config(&config).map_err(|errors| errors.to_string())?;
    build(&config).map(drop).map_err(|errors| errors.to_string())
}

/// The program with this configuration, at a broker in memory.
pub(super) fn build(config: &Config) -> Result<Dispatcher, BuildErrors> {
    let processor = CommandProcessor::builder()
        .handler::<Remind>(Handles)
        .handler::<Overdue>(Handles)
        .broker(InMemoryBroker::new())
        .outbox(InMemoryOutbox::new())
        .configure(config)
        .build()?;
    Dispatcher::builder(processor)
        .subscription(Subscription::<Remind>::new("task-reminders"))
        .subscription(Subscription::<Overdue>::new("task-overdue"))
        .configure(config)
        .build()
}
