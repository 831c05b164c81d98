//! A [`Performer`]: one task that runs one pump, and runs it again when its channel is lost.

use std::num::NonZeroU16;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::handling::DeliveryHandler;
use super::in_flight_delivery::{Completion, InFlightDelivery};
use super::pump::{Mode, Pump, PumpEnd};
use super::status::PerformerState;
use brighter_core::__private::report;
use brighter_core::channel::{Channel, ChannelError, ConsumeAttempts, Consumer};

/// One task that reads one channel.
pub(super) struct Performer {
    pub(super) handler: DeliveryHandler,
}

impl Performer {
    pub(super) fn new(handler: DeliveryHandler) -> Self {
        Self { handler }
    }

    /// Performs until it is told to stop.
    pub(super) async fn run(self) {
        let mut pump = Pump::new(&self.handler, |delivery| self.handler.process(delivery));
        let mut attempts = ConsumeAttempts::new();
        loop {
            let error = match self.perform(&mut pump, &mut attempts).await {
                PumpEnd::Stopped => break,
                PumpEnd::Paused | PumpEnd::Again => continue,
                PumpEnd::Unfit(suspect) => match self.carefully(&mut pump, &mut attempts, suspect).await {
                    PumpEnd::Stopped => break,
                    PumpEnd::Paused | PumpEnd::Again | PumpEnd::Unfit(_) => continue,
                    PumpEnd::Lost(error) => error,
                },
                PumpEnd::Lost(error) => error,
            };
            let said = report(&error);
            self.handler.reporter.failed(&said);
            if self.handler.reporter.change(PerformerState::Waiting) {
                tracing::warn!(subscription = %self.handler.settings.name, error = said, "consuming failed; trying again");
            }
            let pause = attempts.pause(&error);
            let mut changes = self.handler.controls.changes();
            let waited = pump.meanwhile(async {
                tokio::select! {
                    () = self.handler.stop.cancelled() => {}
                    // A pause is not to wait for this one.
                    _ = changes.wait_for(|told| !told.consumes()) => {}
                    () = tokio::time::sleep(pause) => {}
                }
            });
            waited.await;
        }
        self.handler.reporter.change(PerformerState::Finishing);
        pump.finish().await;
        // What was kept in hand for its order, while it was finished.
        pump.give_back();
        drop(pump);
        self.handler.reporter.change(PerformerState::Stopped);
    }

    /// Consumes the channel once, for as long as that lasts.
    async fn perform<B, F>(&self, pump: &mut Pump<'_, B, F>, attempts: &mut ConsumeAttempts) -> PumpEnd
    where
        B: Fn(InFlightDelivery) -> F,
        F: Future<Output = Completion>,
    {
        let mut changes = self.handler.controls.changes();
        let told = *changes.borrow_and_update();
        if !told.consumes() || told.careful {
            self.handler.reporter.change(if told.limit_reached {
                PerformerState::LimitReached
            } else if told.throttle.paused {
                PerformerState::Paused
            } else {
                PerformerState::Standby
            });
            let resumed = pump.meanwhile(async {
                tokio::select! {
                    biased;
                    () = self.handler.stop.cancelled() => PumpEnd::Stopped,
                    _ = changes.changed() => PumpEnd::Again,
                }
            });
            return resumed.await;
        }
        self.handler.reporter.starting();
        // A message in the consumer's memory waits for room as well, and is nobody else's meanwhile.
        tokio::select! {
            biased;
            () = self.handler.stop.cancelled() => return PumpEnd::Stopped,
            _ = changes.changed() => return PumpEnd::Again,
            () = pump.room() => {}
        }
        let channel = self.channel(told.throttle.concurrency);
        let _counted = self.handler.controls.consumes();
        // Another performer that becomes careful from here on waits for this one.
        if self.handler.controls.is_careful() {
            return PumpEnd::Again;
        }
        let again = attempts.has_failed();
        let consumer = tokio::select! {
            biased;
            () = self.handler.stop.cancelled() => return PumpEnd::Stopped,
            consumer = pump.meanwhile(self.consumer(attempts, &channel)) => consumer,
        };
        let consumer = match consumer {
            Ok(consumer) => consumer,
            Err(error) => return PumpEnd::Lost(error),
        };
        self.handler
            .reporter
            .in_flight()
            .settle_timeout(self.handler.broker.bounds(&channel).settle_timeout);
        if self.handler.reporter.change(PerformerState::Consuming) {
            let (subscription, channel) = (&self.handler.settings.name, &channel.name);
            match again {
                // There was a warning before.
                true => tracing::info!(%subscription, %channel, "consuming again"),
                false => tracing::debug!(%subscription, %channel, "consuming"),
            }
        }
        let _consumes = self
            .handler
            .controls
            .metrics
            .consumes(self.handler.broker.system());
        pump.consume(consumer, Mode::Ahead(channel.buffer.get().into()))
            .await
    }

    /// Asks the broker for a consumer, in a task of its own: if the performer is told to stop meanwhile, or is dropped, the
    /// broker is not left half way, with a consumer that nobody has. The task has the deadlines of asking and of closing.
    pub(super) async fn consumer(
        &self,
        attempts: &mut ConsumeAttempts,
        channel: &Channel,
    ) -> Result<Consumer, ChannelError> {
        let (answer, answered) = oneshot::channel();
        let (broker, channel) = (Arc::clone(&self.handler.broker), channel.clone());
        let mut asking = attempts.clone();
        let subscription = self.handler.settings.name.clone();
        let task = tokio::spawn(async move {
            let consumer = asking.consume(&*broker, &channel).await;
            let Err((Ok(unwanted), _)) = answer.send((consumer, asking)) else {
                return;
            };
            if let Err(error) = unwanted.close().await {
                let error = report(&error);
                tracing::warn!(%subscription, error, "could not close a consumer that is no longer needed");
            }
        });
        if let Ok((consumer, asked)) = answered.await {
            *attempts = asked;
            return consumer;
        }
        match task.await {
            // The supervisor counts it, and starts another performer.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime ends.
            _ => Err(ChannelError::Closed),
        }
    }

    /// The channel, with a buffer that lets this many messages be handled at once.
    pub(super) fn channel(&self, concurrency: usize) -> Channel {
        let settings = &self.handler.settings;
        let mut channel = settings.channel.clone();
        channel.suspect_after = Some(settings.suspect_after());
        let least = u16::try_from(concurrency).unwrap_or(u16::MAX);
        channel.buffer = channel
            .buffer
            .max(NonZeroU16::new(least).unwrap_or(NonZeroU16::MIN));
        channel
    }
}
