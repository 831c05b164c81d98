//! A [`Performer`]: one task that runs one pump, and runs it again when its channel is lost.

use std::num::NonZeroU16;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::controls::Controls;
use super::handling::{Done, Item};
use super::pump::{PumpEnd, Work};
use super::route::Route;
use super::status::{PerformerState, Place};
use crate::processor::CommandProcessor;
use crate::subscription::SubscriptionSettings;
use brighter_core::__private::report;
use brighter_core::channel::{Broker, Channel, ConsumeAttempts};

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
        let mut work = Work::new(&self, |item| self.see_through(item));
        let mut attempts = ConsumeAttempts::new();
        loop {
            let error = match self.perform(&mut work, &mut attempts).await {
                PumpEnd::Stopped => break,
                PumpEnd::Paused | PumpEnd::Again => continue,
                PumpEnd::Lost(error) => error,
            };
            let said = report(&error);
            self.place.failed(&said);
            if self.place.change(PerformerState::Waiting) {
                tracing::warn!(subscription = %self.settings.name, error = said, "not consuming; trying again");
            }
            let pause = attempts.pause(&error);
            let waited = work.meanwhile(async {
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            });
            waited.await;
        }
        work.finish().await;
        // What was kept in hand for its order, while it was finished.
        work.give_back();
        drop(work);
        self.place.change(PerformerState::Stopped);
    }

    /// Consumes the channel once, for as long as that lasts.
    async fn perform<B, F>(&self, work: &mut Work<'_, B, F>, attempts: &mut ConsumeAttempts) -> PumpEnd
    where
        B: Fn(Item) -> F,
        F: Future<Output = Done>,
    {
        let mut changes = self.controls.changes();
        let told = *changes.borrow_and_update();
        if !told.consumes() {
            self.place.change(if told.limit_reached {
                PerformerState::LimitReached
            } else {
                PerformerState::Paused
            });
            let resumed = work.meanwhile(async {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => PumpEnd::Stopped,
                    _ = changes.changed() => PumpEnd::Again,
                }
            });
            return resumed.await;
        }
        // A message in the consumer's memory waits for room as well, and is nobody else's meanwhile.
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return PumpEnd::Stopped,
            _ = changes.changed() => return PumpEnd::Again,
            () = work.room() => {}
        }
        let channel = self.channel(told.throttle.concurrency);
        let again = attempts.has_failed();
        let consumer = tokio::select! {
            biased;
            () = self.stop.cancelled() => return PumpEnd::Stopped,
            consumer = work.meanwhile(attempts.consume(&*self.broker, &channel)) => consumer,
        };
        match consumer {
            Ok(consumer) => {
                self.place
                    .hands()
                    .settle_within(self.broker.bounds(&channel).settle_within);
                if self.place.change(PerformerState::Consuming) {
                    let (subscription, channel) = (&self.settings.name, &channel.name);
                    match again {
                        // There was a warning before.
                        true => tracing::info!(%subscription, %channel, "consuming again"),
                        false => tracing::debug!(%subscription, %channel, "consuming"),
                    }
                }
                let _consumes = self.controls.metrics.consumes(self.broker.system());
                work.pump(consumer, channel.buffer.get().into()).await
            }
            Err(error) => PumpEnd::Lost(error),
        }
    }

    /// The channel, with a buffer that lets this many messages be handled at once.
    fn channel(&self, concurrency: usize) -> Channel {
        let mut channel = self.settings.channel.clone();
        let least = u16::try_from(concurrency).unwrap_or(u16::MAX);
        channel.buffer = channel
            .buffer
            .max(NonZeroU16::new(least).unwrap_or(NonZeroU16::MIN));
        channel
    }
}
