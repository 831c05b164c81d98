//! [`ControlCommand`]: what a dispatcher may be told to do, as data.

use serde::{Deserialize, Serialize};

use super::super::status::ShutdownReport;
use super::super::{ControlError, Dispatcher};
use crate::subscription::{Performers, Rate};
use brighter_core::message::SubscriptionName;

/// A command to a running dispatcher: one of its methods, as data that can be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlCommand {
    /// [`receive`](Dispatcher::receive): start every subscription that is not running.
    StartAll,
    /// Stop every subscription, and let what is in hand be finished within the time to drain.
    StopAll,
    /// [`start`](Dispatcher::start) one subscription.
    Start(SubscriptionName),
    /// [`stop`](Dispatcher::stop) one subscription.
    Stop(SubscriptionName),
    /// [`pause`](Dispatcher::pause) one subscription.
    Pause(SubscriptionName),
    /// [`resume`](Dispatcher::resume) one subscription.
    Resume(SubscriptionName),
    /// [`scale`](Dispatcher::scale) one subscription.
    Scale {
        /// Which.
        subscription: SubscriptionName,
        /// How many performers it is to have.
        performers: Performers,
    },
    /// [`throttle`](Dispatcher::throttle) one subscription. What is not said stays as it is.
    Throttle {
        /// Which.
        subscription: SubscriptionName,
        /// How many messages each performer handles at once.
        concurrency: Option<usize>,
        /// How fast all performers together begin to handle messages.
        rate: Option<Rate>,
    },
    /// Let a subscription be as fast as it can.
    Unthrottle(SubscriptionName),
    /// Nothing but the report that follows every command.
    Report,
}

impl Dispatcher {
    /// Carries out a command. Returns the handlings that were cut short if the command stops something.
    ///
    /// # Errors
    /// See [`ControlError`].
    ///
    /// # Panics
    /// Outside a tokio runtime, if it is to start something.
    ///
    /// ```
    /// use brighter::dispatcher::{ControlCommand, ControlError};
    ///
    /// # async fn example(dispatcher: &brighter::Dispatcher) -> Result<(), ControlError> {
    /// let command: ControlCommand = serde_json::from_str(r#"{"pause": "task-reminders"}"#).expect("a command");
    /// dispatcher.apply(command).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn apply(&self, command: ControlCommand) -> Result<ShutdownReport, ControlError> {
        match command {
            ControlCommand::StartAll => self.receive(),
            ControlCommand::StopAll => return Ok(self.stop_all().await),
            ControlCommand::Start(name) => self.start(name)?,
            ControlCommand::Stop(name) => return Ok(self.stop(name).await?),
            ControlCommand::Pause(name) => self.pause(name)?,
            ControlCommand::Resume(name) => self.resume(name)?,
            ControlCommand::Scale {
                subscription,
                performers,
            } => self.scale(subscription, performers)?,
            ControlCommand::Throttle {
                subscription,
                concurrency,
                rate,
            } => self.throttle(subscription, |throttle| {
                throttle.concurrency = concurrency.unwrap_or(throttle.concurrency);
                throttle.rate = rate.or(throttle.rate);
            })?,
            ControlCommand::Unthrottle(name) => self.throttle(name, |throttle| throttle.rate = None)?,
            ControlCommand::Report => {}
        }
        Ok(ShutdownReport::default())
    }
}
