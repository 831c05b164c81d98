//! A [`Performer`]: one task that runs one pump, and runs it again when its channel is lost.

use std::num::NonZeroU16;
use std::time::Duration;

use super::handling::DeliveryHandler;
use super::in_flight_delivery::{Completion, InFlightDelivery};
use super::pump::{Pump, PumpEnd};
use super::status::PerformerState;
use super::within::within;
use brighter_core::__private::report;
use brighter_core::channel::{Channel, ChannelError, Consumer};

/// How long a performer waits before it consumes again: doubled from the first up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The longest while the broker refuses, which only a person can change.
const LONGEST_WAIT_REFUSED: Duration = Duration::from_secs(30);
/// How long a broker may take to give a consumer. Transports have shorter deadlines of their own; this is for
/// one that has not.
const CONSUME_WITHIN: Duration = Duration::from_secs(60);

/// One task that reads one channel.
pub(super) struct Performer {
    handler: DeliveryHandler,
}

impl Performer {
    pub(super) fn new(handler: DeliveryHandler) -> Self {
        Self { handler }
    }

    /// Performs until it is told to stop.
    pub(super) async fn run(self) {
        let mut pump = Pump::new(&self.handler, |delivery| self.handler.process(delivery));
        let mut wait = FIRST_WAIT;
        loop {
            let error = match self.perform(&mut pump, &mut wait).await {
                PumpEnd::Stopped => break,
                PumpEnd::Paused | PumpEnd::Again => continue,
                PumpEnd::Lost(error) => error,
            };
            let said = report(&error);
            self.handler.reporter.failed(&said);
            if self.handler.reporter.change(PerformerState::Waiting) {
                tracing::warn!(subscription = %self.handler.settings.name, error = said, "not consuming; trying again");
            }
            let longest = match error {
                ChannelError::Refused { .. } | ChannelError::Name(_) => LONGEST_WAIT_REFUSED,
                _ => LONGEST_WAIT,
            };
            let waited = pump.meanwhile(async {
                tokio::select! {
                    () = self.handler.stop.cancelled() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            });
            waited.await;
            wait = (wait * 2).min(longest);
        }
        pump.finish().await;
        // What was kept in hand for its order, while it was finished.
        pump.give_back();
        drop(pump);
        self.handler.reporter.change(PerformerState::Stopped);
    }

    /// Consumes the channel once, for as long as that lasts.
    async fn perform<B, F>(&self, pump: &mut Pump<'_, B, F>, wait: &mut Duration) -> PumpEnd
    where
        B: Fn(InFlightDelivery) -> F,
        F: Future<Output = Completion>,
    {
        let mut changes = self.handler.controls.changes();
        let told = *changes.borrow_and_update();
        if !told.consumes() {
            self.handler.reporter.change(if told.limit_reached {
                PerformerState::LimitReached
            } else {
                PerformerState::Paused
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
        // A message in the consumer's memory waits for room as well, and is nobody else's meanwhile.
        tokio::select! {
            biased;
            () = self.handler.stop.cancelled() => return PumpEnd::Stopped,
            _ = changes.changed() => return PumpEnd::Again,
            () = pump.room() => {}
        }
        let channel = self.channel(told.throttle.concurrency);
        let consumer = tokio::select! {
            biased;
            () = self.handler.stop.cancelled() => return PumpEnd::Stopped,
            consumer = pump.meanwhile(self.consume(&channel)) => consumer,
        };
        match consumer {
            Ok(consumer) => {
                let again = std::mem::replace(wait, FIRST_WAIT) > FIRST_WAIT;
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
                pump.consume(consumer, channel.buffer.get().into()).await
            }
            Err(error) => PumpEnd::Lost(error),
        }
    }

    async fn consume(&self, channel: &Channel) -> Result<Consumer, ChannelError> {
        let consumer = within(CONSUME_WITHIN, self.handler.broker.consume(channel)).await;
        consumer.unwrap_or(Err(ChannelError::TimedOut {
            after: CONSUME_WITHIN,
        }))
    }

    /// The channel, with a buffer that lets this many messages be handled at once.
    fn channel(&self, concurrency: usize) -> Channel {
        let mut channel = self.handler.settings.channel.clone();
        let least = u16::try_from(concurrency).unwrap_or(u16::MAX);
        channel.buffer = channel
            .buffer
            .max(NonZeroU16::new(least).unwrap_or(NonZeroU16::MIN));
        channel
    }
}
