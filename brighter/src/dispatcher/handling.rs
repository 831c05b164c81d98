//! [`DeliveryHandler`]: dispatches the message of one delivery, decides what becomes of it and settles it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::circle::{has_gone_round, stop_rounds};
use super::circuit_hold::CircuitHold;
use super::controls::Controls;
use super::in_flight_delivery::{Completion, DeliveryProgress, InFlightDelivery};
use super::reply::ReplySender;
use super::route::{DecodedRequest, Route, RouteError};
use super::settlement::{RELEASE_DELAY, Settlement, dead, invalid, settlement};
use super::status_registry::StatusReporter;
use super::within::within;
use crate::layer::HandlingLimit;
use crate::pipeline::BatchMembership;
use crate::processor::{CommandProcessor, PublishErrors, Reply, SubscriberFailure};
use crate::subscription::SubscriptionSettings;
use crate::telemetry::metrics::Began;
use crate::telemetry::spans;
use brighter_core::__private::Op;
use brighter_core::__private::report;
use brighter_core::channel::{Broker, Delivery, Rejection, RejectionKind, SettleError};
use brighter_core::context::Context;
use brighter_core::error::HandlerError;
use brighter_core::inbox::Fingerprint;
use brighter_core::message::Message;

/// How long settling may take: longer than a publish or a reconnect should take, so that anything slower hangs.
/// The broker still has the message then, and delivers it again.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);

/// Handles the deliveries of one performer.
pub(super) struct DeliveryHandler {
    pub(super) processor: CommandProcessor,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) settings: Arc<SubscriptionSettings>,
    pub(super) route: Arc<dyn Route>,
    /// Whether a handler handles several messages in one call.
    pub(super) batches: bool,
    /// The control of the subscription at run time.
    pub(super) controls: Arc<Controls>,
    /// For the performer that handles a suspect: see [`careful`](super::careful).
    pub(super) suspects: Arc<Semaphore>,
    /// Cancelled when the performer takes no more messages; handlers see it through their context.
    pub(super) stop: Arc<CancellationToken>,
    /// Reports what the performer is doing.
    pub(super) reporter: StatusReporter,
}

impl DeliveryHandler {
    /// Processes one delivery. Whatever happens here, the message is either settled or still the broker's.
    pub(super) async fn process(&self, mut item: InFlightDelivery) -> Completion {
        brighter_core::__private::fault_point!("pump.receive");
        item.waiting = Op::none();
        let message = item.delivery.message().ok();
        let channel = &self.settings.channel.name;
        let op = spans::process(self.broker.system(), channel, message, &item.pump);
        let handled = async {
            let span = spans::handle(&self.settings, item.delivery.message().ok());
            self.process_in_span(item, &op).instrument(span).await
        };
        op.run(handled).await
    }

    /// Processes a delivery within its span, which has the subscription and the id for every line of the log.
    async fn process_in_span(&self, mut item: InFlightDelivery, op: &Op) -> Completion {
        let message = item.delivery.message().ok();
        let (system, began) = (self.broker.system(), Began::now());
        let header = message.map(|message| &message.header);
        let _in_flight = self.controls.metrics.in_flight(system, header);
        let mut failed = None;
        let settlement = self.settlement_of(&mut item, op, &mut failed).await;
        let settlement = stop_rounds(&self.settings, &item.delivery, settlement);
        let settlement = match item.progress.reply.take() {
            Some(reply) => self.replies().reply(&item.delivery, reply, settlement).await,
            None => settlement,
        };
        self.controls
            .metrics
            .decided(system, began, settlement.outcome(), failed);
        op.describe(|span| span.set("brighter.settlement", settlement.name()));
        if let Some((delay, counted)) = self.keeps(&item, &settlement) {
            item.tries = item.tries.saturating_add(u32::from(counted));
            // As when it comes again from its channel: all handlers see it.
            item.progress = DeliveryProgress::default();
            let now = Instant::now();
            return Completion::Kept {
                item: Box::new(item),
                until: now.checked_add(delay).unwrap_or(now),
            };
        }
        let InFlightDelivery { delivery, turn, .. } = item;
        let apology = self.replies().apology(&delivery, &settlement);
        let well = self.settle(delivery, settlement).await;
        if let Some(apology) = apology.filter(|_| well) {
            self.replies().apologize(apology).await;
        }
        Completion::Settled { turn, well }
    }

    fn replies(&self) -> ReplySender<'_> {
        ReplySender {
            broker: &*self.broker,
            route: &*self.route,
            stop: &self.stop,
        }
    }

    /// Decides how to settle a delivery, and logs a failure.
    async fn settlement_of(
        &self,
        item: &mut InFlightDelivery,
        op: &Op,
        failed: &mut Option<&'static str>,
    ) -> Settlement {
        let delivery = &item.delivery;
        let (limit, redeliveries) = (self.settings.redeliveries, delivery.redeliveries());
        match delivery
            .shared()
            .ok_or_else(|| delivery.message().err().map(|malformed| malformed.reason))
        {
            Err(reason) => {
                let reason = reason.unwrap_or_default();
                op.failed("headers");
                *failed = Some("headers");
                if !has_gone_round(&self.settings, delivery, RejectionKind::Invalid) {
                    let to = &self.settings.channel.invalid_messages;
                    tracing::error!(reason, %to, "message could not be read; moved to the invalid-message channel");
                }
                invalid(reason)
            }
            Ok(_) if limit > 0 && redeliveries >= limit => {
                let reason = self.settings.delivered_too_often(redeliveries);
                op.failed("delivered_too_often");
                *failed = Some("delivered_too_often");
                if !has_gone_round(&self.settings, delivery, RejectionKind::DeadLetter) {
                    let to = &self.settings.channel.dead_letters;
                    tracing::error!(%to, reason, "moved to the dead-letter channel");
                }
                dead(reason)
            }
            Ok(message) => {
                let made = item.made.take();
                let suspect = self.settings.suspects(redeliveries);
                let decided = self.decide(
                    delivery,
                    message,
                    made,
                    item.tries,
                    suspect,
                    &mut item.progress,
                    op,
                    failed,
                );
                let settlement = decided.await;
                // It did not end the process: given back once more, it would be counted as if it might.
                if settlement == Settlement::Release
                    && limit > 0
                    && redeliveries.saturating_add(1) >= self.settings.suspect_after()
                    && !self.stop.is_cancelled()
                {
                    return Settlement::Requeue {
                        delay: RELEASE_DELAY,
                        counted: false,
                    };
                }
                settlement
            }
        }
    }

    /// Dispatches a message, and again for as long as a circuit is open: the performer pauses with the message
    /// in hand, which uses up no delivery. Handlers of an event that succeeded are not asked again. It does not
    /// keep a message forever: a broker would take that for a consumer that hangs.
    #[expect(
        clippy::too_many_arguments,
        reason = "parts of a delivery that are borrowed apart"
    )]
    async fn decide(
        &self,
        delivery: &Delivery,
        message: &Arc<Message>,
        mut made: Option<DecodedRequest>,
        tries: u32,
        suspect: bool,
        progress: &mut DeliveryProgress,
        op: &Op,
        failed: &mut Option<&'static str>,
    ) -> Settlement {
        let mut hold = CircuitHold::default();
        let mut turn = None;
        let attempt = message
            .header
            .handled_count
            .saturating_add(tries)
            .saturating_add(1);
        spans::processes(op, message, attempt, self.processor.span_body_limit());
        loop {
            let dispatched = self.dispatch(message, made.take(), tries, suspect, &mut progress.done);
            let outcome = dispatched.await.map(|reply| progress.reply = reply);
            *failed = outcome
                .as_ref()
                .err()
                .filter(|error| error.is_failure())
                .map(RouteError::kind);
            if let Some(reason) = *failed {
                op.failed(reason);
            }
            // Errors are the application's own, and may panic when they are written.
            let settled = catch_unwind(AssertUnwindSafe(|| self.told(delivery, attempt, &outcome)));
            // Another caller of the circuit has it now, if it was not used.
            drop(turn.take());
            let pause = match settled.unwrap_or_else(|_| self.told(delivery, attempt, &Err(unspeakable()))) {
                Ok(settlement) => return settlement,
                Err(pause) => pause,
            };
            if hold.is_new() {
                tracing::info!(?pause, "circuit open; pausing");
            }
            let _holding = self.reporter.in_flight().hold_back();
            // Rare enough for a box.
            turn = match Box::pin(hold.retry(pause, outcome.err(), &self.stop)).await {
                Ok(turn) => Some(turn),
                Err(settlement) => return settlement,
            };
        }
    }

    /// Returns how to settle a message, and logs a failure; or how long to keep the message.
    fn told(
        &self,
        delivery: &Delivery,
        attempt: u32,
        outcome: &Result<(), RouteError>,
    ) -> Result<Settlement, Duration> {
        let settlement = settlement(outcome, attempt, &self.settings)?;
        self.log(delivery, attempt, outcome, &settlement);
        Ok(settlement)
    }

    /// Translates a message and brings the request to its handlers that are not done with it.
    async fn dispatch(
        &self,
        message: &Arc<Message>,
        made: Option<DecodedRequest>,
        tries: u32,
        suspect: bool,
        done: &mut Vec<usize>,
    ) -> Result<Option<Reply>, RouteError> {
        let header = &message.header;
        let mut cx = self
            .processor
            .own(Context::new())
            .with_message_id(header.id.clone())
            .with_trace(header.trace.clone())
            .with_handled_count(header.handled_count.saturating_add(tries))
            .with_cancellation(Arc::clone(&self.stop))
            .with_brought(Arc::<Message>::clone(message));
        if let Some(id) = &header.correlation_id {
            cx = cx.with_correlation_id(id.clone());
        }
        if self.processor.has_inbox() {
            cx.insert(Fingerprint::of_content(
                &header.content_type,
                message.body.as_bytes(),
            ));
        }
        if let Some(limit) = self.settings.timeout.filter(|_| self.processor.has_inbox()) {
            cx.insert(HandlingLimit(limit));
        }
        if self.batches {
            cx.insert(self.membership(cx.attempt(), suspect));
        }
        brighter_core::__private::fault_point!("pump.map");
        let limit = self.settings.time_limit();
        let dispatched = self.route.dispatch(
            &self.processor,
            message,
            made,
            cx,
            done,
            self.reporter.in_flight(),
        );
        within(limit, dispatched)
            .await
            .unwrap_or(Err(RouteError::TimedOut(limit)))
    }

    /// Whether a message may share a call with others. On its last attempt it is alone, so that it does not end in the
    /// dead-letter channel for the sake of another that makes all of a batch time out.
    fn membership(&self, attempt: u32, suspect: bool) -> BatchMembership {
        let last = attempt > 1 && attempt >= self.settings.attempts;
        match suspect || last {
            true => BatchMembership::Alone,
            false => BatchMembership::Shared,
        }
    }

    /// Whether an item is kept in hand because it must not lose its place and is to come again: for how long, and
    /// whether that is an attempt. When the pump ends, what is kept goes back to its place in the channel.
    fn keeps(&self, item: &InFlightDelivery, settlement: &Settlement) -> Option<(Duration, bool)> {
        item.turn?;
        match settlement {
            Settlement::Requeue { delay, counted } => Some((*delay, *counted)),
            Settlement::Release => Some((RELEASE_DELAY, false)),
            Settlement::Ack | Settlement::Reject(_) => None,
        }
    }

    /// Settles a delivery; says whether that went well.
    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> bool {
        let operation = settlement.name();
        let settled = async {
            brighter_core::__private::fault_point!("settle.before", SettleError::Other);
            match settlement {
                Settlement::Ack => delivery.ack().await,
                Settlement::Requeue { delay, counted } => delivery.requeue(delay, counted).await,
                Settlement::Reject(rejection) => {
                    if let Some(count) = self.controls.set_aside() {
                        tracing::error!(count, "rejected-message limit reached; subscription stopped");
                    }
                    delivery.reject(rejection).await
                }
                Settlement::Release => {
                    tokio::select! {
                        () = tokio::time::sleep(RELEASE_DELAY) => {}
                        () = self.stop.cancelled() => {}
                    }
                    delivery.release();
                    Ok(())
                }
            }?;
            brighter_core::__private::fault_point!("settle.after", SettleError::Other);
            Ok::<_, SettleError>(())
        };
        let op = spans::settle(operation, self.broker.system(), &self.settings.channel);
        let error = match op.run(within(SETTLE_WITHIN, settled)).await {
            Some(Ok(())) => return true,
            Some(Err(error)) => report(&error),
            None => format!("the broker has not answered within {SETTLE_WITHIN:?}"),
        };
        op.failed("not_settled");
        tracing::warn!(
            error,
            "settling failed; the broker will deliver the message again"
        );
        false
    }

    /// Writes the one line of a delivery that failed.
    fn log(
        &self,
        delivery: &Delivery,
        attempt: u32,
        outcome: &Result<(), RouteError>,
        settlement: &Settlement,
    ) {
        let error = match outcome {
            Ok(()) => return,
            Err(RouteError::Map(error)) => report(error),
            Err(RouteError::Handlers(errors)) => errors.to_string(),
            Err(RouteError::TimedOut(after)) => format!("not done within {after:?}"),
        };
        match settlement {
            Settlement::Ack => {}
            // It is told why that is not moved.
            Settlement::Reject(rejection) if has_gone_round(&self.settings, delivery, rejection.kind) => {}
            Settlement::Release => {
                tracing::info!(attempt, error, "message returned to its channel")
            }
            Settlement::Requeue { delay, .. } => {
                tracing::warn!(attempt, error, ?delay, "message will be retried");
            }
            Settlement::Reject(Rejection {
                kind: RejectionKind::DeadLetter,
                ..
            }) => {
                tracing::error!(attempt, error, to = %self.settings.channel.dead_letters, "moved to the dead-letter channel");
            }
            Settlement::Reject(_) => {
                tracing::error!(error, to = %self.settings.channel.invalid_messages, "moved to the invalid-message channel");
            }
        }
    }
}

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
