//! A [`Performer`]: one task that runs one pump, and runs it again when its channel is lost.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::controls::Controls;
use super::pump::PumpEnd;
use super::route::Route;
use super::status::{PerformerState, Place};
use crate::channel::{Broker, ChannelError, SubscriptionSettings};
use crate::error::report;
use crate::processor::CommandProcessor;

/// How long a performer waits before it consumes again: doubled from the first up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The longest while the broker refuses, which only a person can change.
const LONGEST_WAIT_REFUSED: Duration = Duration::from_secs(30);

/// One task that reads one channel.
pub(super) struct Performer {
    pub(super) processor: CommandProcessor,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) settings: Arc<SubscriptionSettings>,
    pub(super) route: Arc<dyn Route>,
    /// What it is told while it runs.
    pub(super) controls: Arc<Controls>,
    /// Cancelled when it shall take no more messages; handlers see it through their context.
    pub(super) stop: Arc<CancellationToken>,
    /// Where it says what it is doing.
    pub(super) place: Place,
}

impl Performer {
    /// Performs until it is told to stop.
    pub(super) async fn run(self) {
        let mut wait = FIRST_WAIT;
        loop {
            // Handlers cannot panic through the pump; if anything else does, the message in hand went back as
            // it unwound, and the subscription must not stay without its performer.
            let end = AssertUnwindSafe(self.perform(&mut wait)).catch_unwind().await;
            let error = match end {
                Ok(PumpEnd::Stopped) => break,
                Ok(PumpEnd::Paused) => continue,
                Ok(PumpEnd::Lost(error)) => Some(error),
                Err(_) => None,
            };
            let said = error
                .as_ref()
                .map_or_else(|| "it panicked".to_owned(), |error| report(error));
            self.place.failed(&said);
            if self.place.change(PerformerState::Waiting) {
                tracing::warn!(subscription = %self.settings.name, error = said, "not consuming; trying again");
            }
            let longest = match error {
                Some(ChannelError::Refused { .. } | ChannelError::Name(_)) => LONGEST_WAIT_REFUSED,
                _ => LONGEST_WAIT,
            };
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(longest);
        }
        self.place.change(PerformerState::Stopped);
    }

    /// Consumes the channel once, for as long as that lasts.
    async fn perform(&self, wait: &mut Duration) -> PumpEnd {
        let mut changes = self.controls.changes();
        if changes.borrow_and_update().paused {
            self.place.change(PerformerState::Paused);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return PumpEnd::Stopped,
                _ = changes.wait_for(|throttle| !throttle.paused) => {}
            }
        }
        let consumer = tokio::select! {
            biased;
            () = self.stop.cancelled() => return PumpEnd::Stopped,
            consumer = self.broker.consume(&self.settings.channel) => consumer,
        };
        match consumer {
            Ok(consumer) => {
                *wait = FIRST_WAIT;
                if self.place.change(PerformerState::Consuming) {
                    tracing::debug!(subscription = %self.settings.name, channel = %self.settings.channel.name, "consuming");
                }
                self.pump(consumer).await
            }
            Err(error) => PumpEnd::Lost(error),
        }
    }
}
