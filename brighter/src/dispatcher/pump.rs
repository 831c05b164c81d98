//! The pump: get a message, translate it, dispatch it, settle it; again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::Instrument;

use crate::channel::{ChannelError, Consumer, Delivery, Rejection, RejectionKind, SettleError};
use crate::context::Context;
use crate::error::{HandlerError, report};
use crate::inbox::Fingerprint;
use crate::message::Message;
use crate::processor::{PublishErrors, SubscriberFailure};

use super::controls::Throttle;
use super::performer::Performer;
use super::route::RouteError;
use super::settlement::{GIVE_BACK_AFTER, Settlement, invalid, settlement};

/// How long a message is kept in hand at most while a circuit is open: far less than the 30 minutes after
/// which RabbitMQ closes the channel of a consumer that has not settled.
const LONGEST_HOLD: Duration = Duration::from_secs(300);
/// A circuit that is about to close must not be asked in a tight loop.
const SHORTEST_HOLD: Duration = Duration::from_millis(10);

/// In place of errors that cannot be written.
fn unspeakable() -> RouteError {
    let message = "the error of a handler panicked when it was written".to_owned();
    let failure = SubscriberFailure {
        handler: "",
        error: HandlerError::Panicked { message },
    };
    RouteError::Handlers(PublishErrors {
        failures: vec![failure],
    })
}

/// Why a pump came to its end.
pub(super) enum PumpEnd {
    /// It was told to.
    Stopped,
    /// Its subscription is paused.
    Paused,
    /// Its channel is gone.
    Lost(ChannelError),
}

impl Performer {
    /// Pumps until told to stop or until the channel is lost. The message in hand is settled before a stop;
    /// those that wait in the consumer go back with it.
    pub(super) async fn pump(&self, mut consumer: Consumer) -> PumpEnd {
        let mut changes = self.controls.changes();
        loop {
            if changes.borrow_and_update().paused {
                return PumpEnd::Paused;
            }
            let delivery = tokio::select! {
                biased;
                () = self.stop.cancelled() => return PumpEnd::Stopped,
                _ = changes.changed() => continue,
                delivery = consumer.receive() => delivery,
            };
            match delivery {
                None => return PumpEnd::Lost(ChannelError::Closed),
                Some(Err(error)) => return PumpEnd::Lost(error),
                Some(Ok(delivery)) => {
                    if self.paced(&mut changes).await {
                        self.handle(delivery).await;
                    }
                }
            }
        }
    }

    /// Waits until the rate allows another message; says whether it is to be handled at all.
    async fn paced(&self, changes: &mut watch::Receiver<Throttle>) -> bool {
        loop {
            let throttle = *changes.borrow_and_update();
            if throttle.paused {
                return false;
            }
            let Some(rate) = throttle.rate else { return true };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(self.controls.reserve(rate)) => return true,
            }
        }
    }

    /// Sees one delivery through. Whatever happens here, the message is either settled or still the broker's.
    async fn handle(&self, delivery: Delivery) {
        // Until it is settled, which takes a confirm of the broker when it comes again or is set aside.
        let _in_hand = delivery
            .message()
            .ok()
            .map(|message| self.place.takes(message.header.id.clone()));
        let settlement = match delivery.message() {
            Ok(message) => {
                // What is logged on the way, by a policy for instance, then says for which message.
                let span = tracing::info_span!("handle", subscription = %self.settings.name, id = %message.header.id);
                self.decide(message).instrument(span).await
            }
            Err(reason) => {
                tracing::warn!(subscription = %self.settings.name, reason, "a message made no sense; set aside as invalid");
                invalid(reason)
            }
        };
        if let Err(error) = self.settle(delivery, settlement).await {
            tracing::warn!(subscription = %self.settings.name, error = report(&error), "not settled");
        }
    }

    /// Dispatches a message, and again for as long as a circuit is open: the performer pauses with the message
    /// in hand, which uses up no delivery. Handlers of an event that succeeded are not asked again. It does not
    /// keep a message for ever, for a broker would take that for a consumer that hangs.
    async fn decide(&self, message: &Message) -> Settlement {
        let (mut held, mut done) = (Duration::ZERO, Vec::new());
        loop {
            let outcome = self.dispatch(message, &mut done).await;
            // Errors are the application's own, and may panic when they are written.
            let settled = catch_unwind(AssertUnwindSafe(|| self.settlement_of(message, &outcome)));
            let pause = match settled.unwrap_or_else(|_| self.settlement_of(message, &Err(unspeakable()))) {
                Ok(settlement) => return settlement,
                Err(pause) => pause.clamp(SHORTEST_HOLD, LONGEST_HOLD),
            };
            if held.is_zero() {
                tracing::info!(subscription = %self.settings.name, id = %message.header.id, ?pause, "pausing, for a circuit is open");
            }
            held += pause;
            if held > LONGEST_HOLD {
                return Settlement::Again {
                    delay: pause,
                    counted: false,
                };
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Settlement::GiveBack,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// What becomes of a message, told to the log; or how long to keep it.
    fn settlement_of(
        &self,
        message: &Message,
        outcome: &Result<(), RouteError>,
    ) -> Result<Settlement, Duration> {
        let attempt = message.header.handled_count.saturating_add(1);
        let settlement = settlement(outcome, attempt, &self.settings)?;
        self.log(message, attempt, outcome, &settlement);
        Ok(settlement)
    }

    /// Translates a message and brings the request to its handlers that are not done with it.
    async fn dispatch(&self, message: &Message, done: &mut Vec<usize>) -> Result<(), RouteError> {
        let header = &message.header;
        let mut cx = Context::new()
            .with_message_id(header.id.clone())
            .with_trace(header.trace.clone())
            .with_handled_count(header.handled_count)
            .with_cancellation(Arc::clone(&self.stop));
        if let Some(id) = &header.correlation_id {
            cx = cx.with_correlation_id(id.clone());
        }
        cx.insert(header.clone());
        if self.processor.has_inbox() {
            cx.insert(Fingerprint::of(message.body.as_bytes()));
        }
        self.route.dispatch(&self.processor, message, cx, done).await
    }

    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<(), SettleError> {
        match settlement {
            Settlement::Ack => delivery.ack().await,
            Settlement::Again { delay, counted } => delivery.requeue(delay, counted).await,
            Settlement::SetAside(rejection) => delivery.reject(rejection).await,
            Settlement::GiveBack => {
                tokio::select! {
                    () = tokio::time::sleep(GIVE_BACK_AFTER) => {}
                    () = self.stop.cancelled() => {}
                }
                delivery.release();
                Ok(())
            }
        }
    }

    fn log(
        &self,
        message: &Message,
        attempt: u32,
        outcome: &Result<(), RouteError>,
        settlement: &Settlement,
    ) {
        let error = match outcome {
            Ok(()) => return,
            Err(RouteError::Map(error)) => report(error),
            Err(RouteError::Handlers(errors)) => errors.to_string(),
        };
        let subscription = &self.settings.name;
        let id = &message.header.id;
        match settlement {
            Settlement::Ack => {}
            Settlement::GiveBack => {
                tracing::info!(%subscription, %id, attempt, error, "gave the message back")
            }
            Settlement::Again { delay, .. } => {
                tracing::warn!(%subscription, %id, attempt, error, ?delay, "the message will come again");
            }
            Settlement::SetAside(Rejection {
                kind: RejectionKind::DeadLetter,
                ..
            }) => {
                tracing::error!(%subscription, %id, attempt, error, to = %self.settings.channel.dead_letters, "put in the dead-letter channel");
            }
            Settlement::SetAside(_) => {
                tracing::error!(%subscription, %id, error, to = %self.settings.channel.invalid_messages, "set aside as invalid");
            }
        }
    }
}
