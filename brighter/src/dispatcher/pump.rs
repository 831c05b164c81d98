//! The pump: get a message, translate it, dispatch it, settle it; again.
//!
//! A pump is a loop over what may happen next. It takes a message when there is room, and puts it in hand:
//!
//! ```text
//!              room, not paused                    rate allows it
//!  consumer ───────────────────▶ its turn in the lane ──────────▶ in hand ──▶ settled ──▶ the next of the lane
//!                                  │        ▲                        │
//!                                  ▼        │ its delay is over      ▼ keeps its order and comes again
//!                            behind others  └──────────────────── resting
//! ```
//!
//! # Why it cannot stall
//!
//! It waits in one place, for whichever comes first of these, and each of them ends by itself:
//!
//! * **the consumer**, which ends when its channel is lost; the transport finds out by heartbeats;
//! * **what is in hand**: each handling ends within the subscription's time-out, then its settling within a
//!   deadline, and holding it for an open circuit within another, or when the circuit lets it go;
//! * **a sibling** that becomes idle, while it has no room: see [`Handover`](super::handover::Handover);
//! * **a timer**, for the rate or for what rests;
//! * **a change** of what it is told, and **the stop**.
//!
//! The consumer is left alone only while there is no room and no sibling is idle, and then something is in hand or a timer
//! runs, or while it is paused, which a person ends. The same holds outside the loop: asking for a consumer has a
//! deadline, and whatever a performer waits for then, what is in hand goes on. A handler that blocks its thread is the one
//! thing that nothing in this task can end: see the [watchdog](super::watchdog).

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, sleep_until};

use super::controls::Throttle;
use super::handling::DeliveryHandler;
use super::handling_set::HandlingSet;
use super::handover::Sibling;
use super::in_flight_delivery::{Completion, InFlightDelivery, KeyPosition};
use super::in_flight_table::PollObserved;
use super::keyed_queues::KeyedQueues;
use super::route::DecodedRequest;
use super::within::within;
use crate::telemetry::spans;
use brighter_core::__private::{Op, report};
use brighter_core::channel::{ChannelError, Consumer, Delivery};
use brighter_core::message::Message;

/// Why a pump came to its end.
pub(super) enum PumpEnd {
    /// The pump was told to stop.
    Stopped,
    /// Its subscription is paused, or has reached its limit.
    Paused,
    /// The pump gives everything back and begins again: a message that keeps its order was not settled, so that others
    /// must not go past it; or the pump needs a larger buffer.
    Again,
    /// The pump met a message that is not to be handled in its [`Mode`]: a suspect, or one that is none.
    Unfit(Delivery),
    /// Its channel is gone.
    Lost(ChannelError),
}

/// How a pump takes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// This many ahead, and no suspects.
    Ahead(usize),
    /// One at a time, and suspects alone: see [`careful`](super::careful).
    Careful,
}

/// A pump that takes suspects alone ends when it has got nothing for so long.
const NO_MORE_SUSPECTS: Duration = Duration::from_secs(1);
/// How long it is waited for that what was given back is back.
const GIVING_BACK: Duration = Duration::from_secs(15);

/// The result of a performer's look for messages.
enum Intake {
    /// Its consumer gave this, or ended.
    Own(Option<Result<Delivery, ChannelError>>),
    /// A message for an idle sibling, while this performer takes none for itself.
    ForSibling(Option<Result<Delivery, ChannelError>>),
    /// A sibling gave it this.
    Given(Box<InFlightDelivery>),
    /// A sibling is idle, and would take what waits here.
    Wanted,
}

/// The messages that a performer has taken. They outlive the consumer that brought them: a handler goes on while its
/// channel is lost, and a message that comes again meanwhile does not overtake it.
pub(super) struct Pump<'p, B, F> {
    handler: &'p DeliveryHandler,
    /// Processes a delivery.
    begin: B,
    in_hand: HandlingSet<PollObserved<F>>,
    queues: KeyedQueues<InFlightDelivery>,
    /// At their turn, when there is room again.
    ready: Vec<InFlightDelivery>,
    /// At its turn, when the rate allows it.
    paced: Option<(InFlightDelivery, Instant)>,
    /// The number of the consumer that is used, or will be next.
    consumer: u64,
    /// A message that keeps its order was not settled.
    broken: bool,
    /// The consuming of the present consumer.
    op: Op,
}

impl<'p, B, F> Pump<'p, B, F>
where
    B: Fn(InFlightDelivery) -> F,
    F: Future<Output = Completion>,
{
    pub(super) fn new(handler: &'p DeliveryHandler, begin: B) -> Self {
        Self {
            handler,
            begin,
            in_hand: HandlingSet::new(),
            queues: KeyedQueues::default(),
            ready: Vec::new(),
            paced: None,
            consumer: 0,
            broken: false,
            op: Op::none(),
        }
    }

    /// Pumps until told to stop or until the channel is lost. What waits in the consumer goes back with it.
    pub(super) async fn consume(&mut self, mut consumer: Consumer, mode: Mode) -> PumpEnd {
        self.op = spans::pump(self.handler.broker.system(), &self.handler.settings);
        // Where order matters there is one performer, and a suspect is handled alone.
        let handler = self.handler;
        let mut sibling =
            (!handler.settings.ordered && mode != Mode::Careful).then(|| handler.controls.handover.join());
        let end = self.run(&mut consumer, sibling.as_mut(), mode).await;
        // What a sibling has given it meanwhile goes back with the rest.
        let given = sibling.as_mut().and_then(Sibling::end_idle);
        self.ready.extend(given.map(|given| *given));
        drop(sibling);
        self.op = Op::none();
        let lost = matches!(end, PumpEnd::Lost(_));
        // Others get what is given back here. Where order matters, they must not while what comes before it is in
        // hand; if the channel is lost they have it already.
        if self.handler.settings.ordered && !lost {
            self.finish().await;
        }
        self.consumer += 1;
        let careful =
            mode == Mode::Careful || matches!(end, PumpEnd::Unfit(_)) || self.handler.controls.is_careful();
        if careful && !lost {
            self.close(consumer).await;
        } else {
            // First: what is given back to a consumer that is still there comes to it again, is given back once more,
            // and is counted twice by a broker that counts.
            drop(consumer);
            self.give_back();
        }
        end
    }

    /// Closes the consumer first, so that nothing that is given back comes again at once, and returns when all is back:
    /// another performer may be about to handle what ends the process.
    async fn close(&mut self, consumer: Consumer) {
        let subscription = &self.handler.settings.name;
        if let Err(error) = self.meanwhile(consumer.close()).await {
            tracing::debug!(%subscription, error = report(&error), "the broker did not confirm that the consumer ended");
        }
        self.give_back();
        let flushed = within(GIVING_BACK, self.handler.broker.flush());
        if !matches!(self.meanwhile(flushed).await, Some(Ok(()))) {
            tracing::debug!(%subscription, "the broker did not confirm that all messages are back in the channel");
        }
    }

    /// Handles one delivery to its end, unless it is told to stop before its time has come. If the broker takes the message
    /// back meanwhile, its handler is cancelled: the message comes again, and would wait for a handler that cannot settle.
    pub(super) async fn handle(&mut self, delivery: Delivery) {
        let handler = self.handler;
        let lost = delivery.lost();
        self.take(delivery);
        loop {
            self.begin_ready(handler.controls.throttle().alone());
            let Some(at) = self.paced.as_ref().map(|(_, at)| *at) else {
                tokio::select! {
                    biased;
                    () = self.finish() => {}
                    () = lost => self.cancel(),
                }
                return;
            };
            tokio::select! {
                biased;
                () = handler.stop.cancelled() => return,
                () = sleep_until(at) => {}
            }
        }
    }

    /// Cancels the handlers of messages that the broker has taken back.
    pub(super) fn cancel(&mut self) {
        if self.in_hand.len() > 0 {
            let subscription = &self.handler.settings.name;
            tracing::warn!(%subscription, "the broker took a message back before it was handled; handler cancelled");
            self.in_hand = HandlingSet::new();
        }
    }

    async fn run(
        &mut self,
        consumer: &mut Consumer,
        mut sibling: Option<&mut Sibling>,
        mode: Mode,
    ) -> PumpEnd {
        let handler = self.handler;
        let mut changes = handler.controls.changes();
        let mut told = *changes.borrow_and_update();
        loop {
            // Nothing below need ever wait, and others want their turn.
            consume_budget().await;
            let given = sibling.as_deref_mut().and_then(Sibling::end_idle);
            self.ready.extend(given.map(|given| *given));
            if handler.stop.is_cancelled() {
                return PumpEnd::Stopped;
            }
            if changes.has_changed().unwrap_or_default() {
                told = *changes.borrow_and_update();
                self.pace_anew();
            }
            if !told.consumes() {
                return PumpEnd::Paused;
            }
            let (throttle, is_over) = match mode {
                Mode::Ahead(buffer) => (told.throttle, told.careful || told.throttle.concurrency > buffer),
                Mode::Careful => (told.throttle.alone(), false),
            };
            if self.broken || is_over {
                return PumpEnd::Again;
            }
            self.begin_ready(throttle);
            let timer = self.timer();
            let idle = mode == Mode::Careful && timer.is_none() && self.is_idle();
            let intake = self.intake(consumer, sibling.as_deref_mut(), throttle);
            tokio::select! {
                biased;
                Some(done) = self.in_hand.next() => self.done(done),
                found = intake => match found {
                    Intake::Own(Some(Ok(delivery))) | Intake::ForSibling(Some(Ok(delivery)))
                        if !self.is_fit(&delivery, mode) =>
                    {
                        return PumpEnd::Unfit(delivery);
                    }
                    Intake::Own(Some(Ok(delivery))) => self.take(delivery),
                    Intake::ForSibling(Some(Ok(delivery))) => {
                        let item = self.item(delivery, None);
                        self.hand_over(item, sibling.as_deref());
                    }
                    Intake::Own(Some(Err(error))) | Intake::ForSibling(Some(Err(error))) => return PumpEnd::Lost(error),
                    Intake::Own(None) | Intake::ForSibling(None) => return PumpEnd::Lost(ChannelError::Closed),
                    Intake::Given(item) => self.ready.push(*item),
                    Intake::Wanted => {
                        let item = self.ready.remove(0);
                        self.hand_over(item, sibling.as_deref());
                    }
                },
                () = no_more_suspects(), if idle => return PumpEnd::Again,
                // These three are looked at above.
                () = until(timer) => {}
                _ = changes.changed() => changes.mark_changed(),
                () = handler.stop.cancelled() => {}
            }
        }
    }

    /// Looks for the next message: for this performer while it has room, otherwise for a sibling that is idle. It looks
    /// at what holds it back each time it is polled, as that changes while those in hand go on.
    fn intake<'a>(
        &self,
        consumer: &'a mut Consumer,
        mut sibling: Option<&'a mut Sibling>,
        throttle: Throttle,
    ) -> impl Future<Output = Intake> + use<'a, 'p, B, F> {
        let in_flight = self.handler.reporter.in_flight();
        let has_room =
            self.in_hand.len() < throttle.concurrency && self.ready.is_empty() && self.paced.is_none();
        let (waits_for_rate, has_ready) = (self.paced.is_some(), !self.ready.is_empty());
        poll_fn(move |task| {
            if has_room && !in_flight.holds_back() {
                if let Poll::Ready(came) = consumer.poll_next_unpin(task) {
                    return Poll::Ready(Intake::Own(came));
                }
                return match &mut sibling {
                    Some(sibling) => sibling.poll_idle(task).map(Intake::Given),
                    None => Poll::Pending,
                };
            }
            let Some(sibling) = &mut sibling else {
                return Poll::Pending;
            };
            // A sibling would have to wait for the rate as well.
            if waits_for_rate {
                return sibling
                    .end_idle()
                    .map_or(Poll::Pending, |given| Poll::Ready(Intake::Given(given)));
            }
            match sibling.poll_wanted(task) {
                Poll::Ready(Some(given)) => Poll::Ready(Intake::Given(given)),
                Poll::Ready(None) if has_ready => Poll::Ready(Intake::Wanted),
                Poll::Ready(None) => consumer.poll_next_unpin(task).map(Intake::ForSibling),
                Poll::Pending => Poll::Pending,
            }
        })
    }

    /// Hands this to a sibling; keeps it, if none is idle any more.
    fn hand_over(&mut self, item: InFlightDelivery, sibling: Option<&Sibling>) {
        let kept = match sibling {
            Some(sibling) => sibling.give(Box::new(item)).err().map(|item| *item),
            None => Some(item),
        };
        if let Some(kept) = kept {
            self.ready.insert(0, kept);
        }
    }

    /// Waits for something else, while what is in hand goes on.
    pub(super) async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                biased;
                output = &mut other => return output,
                Some(done) = self.in_hand.next() => self.done(done),
            }
        }
    }

    /// Waits until there is room for another message.
    pub(super) async fn room(&mut self) {
        let throttle = self.handler.controls.throttle();
        while self.in_hand.len() >= throttle.concurrency
            && let Some(done) = self.in_hand.next().await
        {
            self.done(done);
        }
    }

    /// Finishes what is in hand. The handlings have their deadlines.
    pub(super) async fn finish(&mut self) {
        while let Some(done) = self.in_hand.next().await {
            self.done(done);
        }
    }

    /// Gives back all that is not in hand.
    pub(super) fn give_back(&mut self) {
        self.broken = false;
        let paced = self.paced.take().map(|(item, _)| item);
        let ready = std::mem::take(&mut self.ready);
        for item in paced.into_iter().chain(ready).chain(self.queues.rested()) {
            let turn = item.turn;
            drop(item);
            if let Some(KeyPosition { lane, .. }) = turn {
                self.queues.abandon(lane);
            }
        }
        self.queues.clear_behind();
    }

    /// Whether there is nothing to do but to wait for a message.
    fn is_idle(&self) -> bool {
        self.in_hand.len() == 0
            && self.ready.is_empty()
            && self.paced.is_none()
            && !self.handler.reporter.in_flight().holds_back()
    }

    /// When to look again, whatever happens.
    fn timer(&self) -> Option<Instant> {
        let paced = self.paced.as_ref().map(|(_, at)| *at);
        [paced, self.queues.wakes_at()].into_iter().flatten().min()
    }

    /// Whether the delivery may be handled in this mode. What will not be handled at all may come in any.
    fn is_fit(&self, delivery: &Delivery, mode: Mode) -> bool {
        let settings = &self.handler.settings;
        let redeliveries = delivery.redeliveries();
        match mode {
            Mode::Ahead(_) => {
                redeliveries == 0 || delivery.shared().is_none() || !settings.suspects(redeliveries)
            }
            Mode::Careful => redeliveries >= settings.suspect_after(),
        }
    }

    /// Takes a message, which is begun with at the next look: what holds may have changed while it was waited for.
    pub(super) fn take(&mut self, delivery: Delivery) {
        let handler = self.handler;
        let consumer = self.consumer;
        let turn = match delivery.message() {
            Ok(message) if handler.settings.ordered => {
                let handlers = handler.route.handlers(message);
                let table = handler.reporter.in_flight();
                table.map_observed(message.header.id.clone(), handlers, || {
                    handler.route.lane(message)
                })
            }
            _ => None,
        };
        let turn = turn.map(|(lane, made)| (KeyPosition { lane, consumer }, made));
        let item = self.item(delivery, turn);
        self.ready.extend(match item.turn {
            Some(KeyPosition { lane, .. }) => self.queues.enter(lane, item),
            None => Some(item),
        });
    }

    fn item(&self, delivery: Delivery, turn: Option<(KeyPosition, DecodedRequest)>) -> InFlightDelivery {
        let handler = self.handler;
        let mut item = InFlightDelivery::new(delivery, turn, self.op.clone());
        if let Ok(message) = item.delivery.message() {
            let (system, channel) = (handler.broker.system(), &handler.settings.channel);
            item.waiting = spans::receive(system, channel, message, &self.op);
        }
        item
    }

    /// Begins with those that are at their turn, as far as there is room.
    fn begin_ready(&mut self, throttle: Throttle) {
        if self.queues.wakes_at().is_some() {
            let now = Instant::now();
            while let Some(item) = self.queues.wake(now) {
                self.ready.push(item);
            }
        }
        let alone = throttle.concurrency == 1;
        while self.in_hand.len() < throttle.concurrency {
            if let Some((item, _)) = self.paced.take_if(|(_, at)| *at <= Instant::now()) {
                self.put_in_hand(item, alone);
            } else if self.paced.is_none() && !self.ready.is_empty() {
                let item = self.ready.remove(0);
                self.begin_at_its_time(item, throttle);
            } else {
                return;
            }
        }
    }

    fn begin_at_its_time(&mut self, item: InFlightDelivery, throttle: Throttle) {
        let at = throttle.rate.map(|rate| self.handler.controls.reserve(rate));
        match at.filter(|at| *at > Instant::now()) {
            Some(at) => self.paced = Some((item, at)),
            None => self.put_in_hand(item, throttle.concurrency == 1),
        }
    }

    /// Makes waiting messages ask again after the rate has changed.
    fn pace_anew(&mut self) {
        if let Some((item, _)) = self.paced.take() {
            self.ready.insert(0, item);
        }
    }

    fn put_in_hand(&mut self, item: InFlightDelivery, alone: bool) {
        let handler = self.handler;
        let hold = |message: &Message| {
            let handlers = handler.route.handlers(message);
            handler
                .reporter
                .in_flight()
                .hold(message.header.id.clone(), handlers)
        };
        handler.reporter.in_flight().count_received();
        let in_hand = item.delivery.message().ok().map(hold);
        self.in_hand
            .push(PollObserved::new((self.begin)(item), in_hand), alone);
    }

    fn done(&mut self, done: Completion) {
        match done {
            Completion::Settled { turn: None, .. } => {}
            Completion::Settled {
                turn: Some(turn),
                well,
            } => {
                self.broken |= !well && turn.consumer == self.consumer;
                self.ready.extend(self.queues.leave(turn.lane));
            }
            Completion::Kept { item, until } => match item.turn {
                Some(turn) if turn.consumer != self.consumer => {
                    drop(item);
                    self.ready.extend(self.queues.leave(turn.lane));
                }
                _ => self.queues.rest(until, *item),
            },
        }
    }
}

/// Begins to wait when it is polled: most messages come without.
async fn no_more_suspects() {
    sleep(NO_MORE_SUSPECTS).await;
}

async fn until(timer: Option<Instant>) {
    match timer {
        Some(timer) => sleep_until(timer).await,
        None => std::future::pending().await,
    }
}
