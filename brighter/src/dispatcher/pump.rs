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
//!   deadline, and holding it for an open circuit within another;
//! * **a timer**, for the rate or for what rests;
//! * **a change** of what it is told, and **the stop**.
//!
//! The consumer is left alone only while there is no room, and then something is in hand or a timer runs, or while
//! it is paused, which a person ends. The same holds outside the loop: asking for a consumer has a deadline, and
//! whatever a performer waits for then, what is in hand goes on. A handler that blocks its thread is the one thing
//! that nothing in this task can end: see the [watchdog](super::watchdog).

use std::time::Duration;

use futures_util::StreamExt;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, sleep_until};

use super::controls::Throttle;
use super::handling::DeliveryHandler;
use super::handling_set::HandlingSet;
use super::in_flight_delivery::{Completion, InFlightDelivery, KeyPosition};
use super::in_flight_table::PollObserved;
use super::keyed_queues::KeyedQueues;
use super::within::within;
use crate::telemetry::spans;
use brighter_core::__private::{Op, report};
use brighter_core::channel::{ChannelError, Consumer, Delivery};
use brighter_core::message::Message;

/// Why a pump came to its end.
pub(super) enum PumpEnd {
    /// It was told to.
    Stopped,
    /// Its subscription is paused, or has reached its limit.
    Paused,
    /// It gives everything back and begins again: a message that keeps its order was not settled, so that others
    /// must not go past it; or it needs a larger buffer.
    Again,
    /// It has met a message that is not to be handled in its [`Mode`]: a suspect, or one that is none.
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

/// What a performer has taken, which outlives the consumer that brought it: a handler goes on while its channel is
/// lost, and a message that comes again meanwhile does not overtake it.
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
        let end = self.run(&mut consumer, mode).await;
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
            self.give_back();
        }
        end
    }

    /// Closes the consumer first, so that nothing that is given back comes again at once, and returns when all is back:
    /// another performer may be about to handle what ends the process.
    async fn close(&mut self, consumer: Consumer) {
        let subscription = &self.handler.settings.name;
        if let Err(error) = self.meanwhile(consumer.close()).await {
            tracing::debug!(%subscription, error = report(&error), "the consumer is not known to be gone");
        }
        self.give_back();
        let flushed = within(GIVING_BACK, self.handler.broker.flush());
        if !matches!(self.meanwhile(flushed).await, Some(Ok(()))) {
            tracing::debug!(%subscription, "not all is known to be back in the channel");
        }
    }

    /// Handles one delivery to its end, unless it is told to stop before its time has come.
    pub(super) async fn handle(&mut self, delivery: Delivery) {
        let handler = self.handler;
        self.take(delivery);
        loop {
            self.begin_ready(handler.controls.throttle().alone());
            let Some(at) = self.paced.as_ref().map(|(_, at)| *at) else {
                return self.finish().await;
            };
            tokio::select! {
                biased;
                () = handler.stop.cancelled() => return,
                () = sleep_until(at) => {}
            }
        }
    }

    async fn run(&mut self, consumer: &mut Consumer, mode: Mode) -> PumpEnd {
        let handler = self.handler;
        let mut changes = handler.controls.changes();
        let mut told = *changes.borrow_and_update();
        loop {
            // Nothing below need ever wait, and others want their turn.
            consume_budget().await;
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
            let (room, timer) = (self.has_room(throttle), self.timer());
            let idle = mode == Mode::Careful && room && timer.is_none() && self.in_hand.len() == 0;
            tokio::select! {
                biased;
                Some(done) = self.in_hand.next() => self.done(done),
                came = consumer.receive(), if room => match came {
                    Some(Ok(delivery)) if self.is_fit(&delivery, mode) => self.take(delivery),
                    Some(Ok(delivery)) => return PumpEnd::Unfit(delivery),
                    Some(Err(error)) => return PumpEnd::Lost(error),
                    None => return PumpEnd::Lost(ChannelError::Closed),
                },
                () = no_more_suspects(), if idle => return PumpEnd::Again,
                // These three are looked at above.
                () = until(timer) => {}
                _ = changes.changed() => changes.mark_changed(),
                () = handler.stop.cancelled() => {}
            }
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

    /// Whether one more may be taken.
    fn has_room(&self, throttle: Throttle) -> bool {
        self.in_hand.len() < throttle.concurrency
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
            Ok(message) if handler.settings.ordered => handler.route.lane(message),
            _ => None,
        };
        let turn = turn.map(|(lane, made)| (KeyPosition { lane, consumer }, made));
        let mut item = InFlightDelivery::new(delivery, turn, self.op.clone());
        if let Ok(message) = item.delivery.message() {
            let (system, channel) = (handler.broker.system(), &handler.settings.channel);
            item.waiting = spans::receive(system, channel, message, &self.op);
        }
        self.ready.extend(match item.turn {
            Some(KeyPosition { lane, .. }) => self.queues.enter(lane, item),
            None => Some(item),
        });
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

    /// What waits for a rate that has changed asks again.
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
