//! Handling suspects alone: messages that were delivered so often without being settled that one of them may be what
//! ends the process.
//!
//! What a process had taken ahead when it ended was delivered and not settled, exactly as the message that ended it. So
//! that only the culprit goes on counting, a performer that meets a suspect
//!
//! 1. closes its consumer, then gives back all that it has not begun;
//! 2. has the other performers of its subscription do the same, and waits until they have;
//! 3. waits for its turn among all subscriptions of the dispatcher, which has one suspect in hand at a time;
//! 4. handles the suspect, then consumes with a buffer of one, until it gets a message that is no suspect, or none.
//!
//! If the process ends meanwhile, one suspect was in hand.

use std::num::NonZeroU16;
use std::time::Duration;

use super::in_flight_delivery::{Completion, InFlightDelivery};
use super::performer::Performer;
use super::pump::{Mode, Pump, PumpEnd};
use super::status::PerformerState;
use super::within::within;
use brighter_core::channel::{ConsumeAttempts, Delivery};

/// How long it is waited for that the other performers have given back what they had. Their transports have shorter
/// deadlines.
const OTHERS_GIVE_BACK: Duration = Duration::from_secs(30);

impl Performer {
    /// Handles a suspect alone, and those after it.
    pub(super) async fn carefully<B, F>(
        &self,
        pump: &mut Pump<'_, B, F>,
        attempts: &mut ConsumeAttempts,
        suspect: Delivery,
    ) -> PumpEnd
    where
        B: Fn(InFlightDelivery) -> F,
        F: Future<Output = Completion>,
    {
        let handler = &self.handler;
        let (controls, stop) = (&handler.controls, &handler.stop);
        let Some(_careful) = controls.begin_careful() else {
            // Another performer has met one as well.
            return PumpEnd::Again;
        };
        let name = &handler.settings.name;
        tracing::warn!(subscription = %name, redeliveries = suspect.redeliveries(), "message was redelivered often and may crash the process; handling suspects one at a time");
        // Where order is kept it goes back with those behind it, so that all count alike, and it is the first again.
        let mut held = (!handler.settings.keeps_order()).then_some(suspect);
        let _turn = match handler.suspects.try_acquire() {
            Ok(turn) => turn,
            Err(_) => {
                // What ends the process meanwhile must not count for it.
                held = None;
                handler.reporter.change(PerformerState::Standby);
                handler
                    .reporter
                    .failed("waiting while another subscription handles what may end the process");
                let turn = pump.meanwhile(async {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => None,
                        turn = handler.suspects.acquire() => turn.ok(),
                    }
                });
                let Some(turn) = turn.await else {
                    return PumpEnd::Stopped;
                };
                turn
            }
        };
        let stopped = pump.meanwhile(async {
            tokio::select! {
                biased;
                () = stop.cancelled() => true,
                _ = within(OTHERS_GIVE_BACK, controls.nobody_consumes()) => false,
            }
        });
        if stopped.await {
            return PumpEnd::Stopped;
        }
        let mut alone = Pump::new(handler, |delivery| handler.process(delivery));
        if let Some(suspect) = held {
            pump.meanwhile(alone.handle(suspect)).await;
        }
        let end = self.consume_alone(pump, &mut alone, attempts).await;
        if matches!(end, PumpEnd::Lost(_)) {
            // With its channel the broker took back what was in hand.
            alone.cancel();
        }
        pump.meanwhile(alone.finish()).await;
        alone.give_back();
        if matches!(end, PumpEnd::Unfit(_) | PumpEnd::Again) {
            tracing::info!(subscription = %name, "no suspects left; consuming as usual");
        }
        match end {
            PumpEnd::Unfit(delivery) => {
                if !handler.settings.keeps_order() {
                    pump.take(delivery);
                }
                PumpEnd::Again
            }
            end => end,
        }
    }

    /// Consumes the channel with a buffer of one.
    async fn consume_alone<B, F, A, G>(
        &self,
        pump: &mut Pump<'_, B, F>,
        alone: &mut Pump<'_, A, G>,
        attempts: &mut ConsumeAttempts,
    ) -> PumpEnd
    where
        B: Fn(InFlightDelivery) -> F,
        F: Future<Output = Completion>,
        A: Fn(InFlightDelivery) -> G,
        G: Future<Output = Completion>,
    {
        let handler = &self.handler;
        let mut channel = self.channel(1);
        channel.buffer = NonZeroU16::MIN;
        let consumer = tokio::select! {
            biased;
            () = handler.stop.cancelled() => return PumpEnd::Stopped,
            consumer = pump.meanwhile(self.consumer(attempts, &channel)) => consumer,
        };
        match consumer {
            Ok(consumer) => {
                handler.reporter.change(PerformerState::Consuming);
                let _consumes = handler.controls.metrics.consumes(handler.broker.system());
                pump.meanwhile(alone.consume(consumer, Mode::Careful)).await
            }
            Err(error) => PumpEnd::Lost(error),
        }
    }
}
