//! One run of a replay.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::{DeadLetter, HELD, Replay, ReplayError, Replayed, TOGETHER};
use brighter_core::channel::{
    Broker, Channel, ChannelError, ConsumeAttempts, Consumer, Delivery, Rejection, SettleError,
    rejection_headers,
};
use brighter_core::id::MessageId;
use brighter_core::message::{ChannelName, Message};

/// When nothing has come for so long, the broker is asked whether something waits.
const QUIET: Duration = Duration::from_secs(1);
/// How often the broker may say so, and nothing comes, before that is believed to be no use.
const PATIENCE: u32 = 30;
/// A broker that counts deliveries may drop what was given back too often: a copy begins anew.
const TOO_OFTEN: u32 = 5;

struct Round<'r, F> {
    replay: &'r Replay,
    /// The value of [`Replay::LEFT_BY`] on messages that this run has left.
    mark: String,
    choose: F,
    done: Replayed,
    /// The messages that stay, in their order.
    held: VecDeque<Delivery>,
    unreadable: Vec<Delivery>,
    /// One that this run has left came again: all have been seen.
    is_round: bool,
}

impl Replay {
    /// Sends back those that are chosen, until no more wait. What is set aside while it runs is offered too, but not
    /// what it has sent back itself. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub async fn run<B, F>(&self, broker: &B, choose: F) -> Result<Replayed, ReplayError>
    where
        B: Broker + ?Sized,
        F: FnMut(&DeadLetter<'_>) -> bool + Send,
    {
        ChannelName::from(self.name.as_str()).validate()?;
        Round::new(self, choose).run(broker).await
    }
}

impl<'r, F: FnMut(&DeadLetter<'_>) -> bool + Send> Round<'r, F> {
    fn new(replay: &'r Replay, choose: F) -> Self {
        Self {
            mark: format!("{}, run {}", replay.name, MessageId::new()),
            replay,
            choose,
            done: Replayed::default(),
            held: VecDeque::new(),
            unreadable: Vec::new(),
            is_round: false,
        }
    }

    async fn run<B: Broker + ?Sized>(mut self, broker: &B) -> Result<Replayed, ReplayError> {
        let result = self.go_through(broker).await;
        // Given back, the last first, so that they are as they were.
        self.held.into_iter().rev().for_each(Delivery::release);
        result.map(|()| self.done)
    }

    async fn go_through<B: Broker + ?Sized>(&mut self, broker: &B) -> Result<(), ReplayError> {
        let channel = self.replay.dead_letters();
        let consumer = ConsumeAttempts::new().consume(broker, &channel).await;
        let mut consumer = consumer.map_err(|error| self.not_had(error))?;
        let mut in_vain = 0;
        while !self.is_round {
            let some = self.some(&mut consumer).await?;
            if some.is_empty() {
                let waiting = self.waiting(broker, &channel).await?;
                in_vain += 1;
                if waiting == 0 || in_vain > PATIENCE || self.is_stuffed() {
                    self.done.unseen = waiting;
                    break;
                }
                continue;
            }
            in_vain = 0;
            self.decide(some).await?;
        }
        Ok(())
    }

    /// Returns the messages that come next, none after a while.
    async fn some(&self, consumer: &mut Consumer) -> Result<Vec<Delivery>, ReplayError> {
        let Ok(first) = timeout(QUIET, consumer.receive()).await else {
            return Ok(Vec::new());
        };
        let mut some = Vec::with_capacity(TOGETHER);
        let mut next = first;
        loop {
            match next {
                Some(Ok(delivery)) => some.push(delivery),
                Some(Err(error)) => return Err(self.not_had(error)),
                None => return Err(self.not_had(ChannelError::Closed)),
            }
            if some.len() == TOGETHER {
                return Ok(some);
            }
            match consumer.receive().now_or_never() {
                Some(another) => next = another,
                None => return Ok(some),
            }
        }
    }

    /// How many wait that are in nobody's hand. A broker that cannot tell is believed to have none.
    async fn waiting<B: Broker + ?Sized>(&self, broker: &B, channel: &Channel) -> Result<u64, ReplayError> {
        let depth = broker.depth(channel).await;
        Ok(depth.map_err(|error| self.not_had(error))?.unwrap_or(0))
    }

    /// So many cannot be read that nothing else comes.
    fn is_stuffed(&self) -> bool {
        self.unreadable.len() >= HELD
    }

    async fn decide(&mut self, some: Vec<Delivery>) -> Result<(), ReplayError> {
        let mut back = Vec::new();
        for delivery in some {
            let Ok(message) = delivery.message() else {
                self.done.unreadable += 1;
                self.unreadable.push(delivery);
                continue;
            };
            if self.is_to_go(message) {
                let anew = self.anew(message);
                back.push((delivery, anew));
            } else {
                self.held.push_back(delivery);
            }
        }
        let moved = moved(back, &self.replay.channel.name).await;
        let failed = moved.into_iter().fold(None, |failed, moved| match moved {
            Ok(()) => {
                self.done.replayed += 1;
                failed
            }
            Err(error) => failed.or(Some(error)),
        });
        if let Some(error) = failed {
            return Err(self.not_moved(error));
        }
        brighter_core::__private::fault_point!("replay.moved");
        self.leave().await
    }

    /// Whether it goes back to its channel; else it stays.
    fn is_to_go(&mut self, message: &Message) -> bool {
        let says = |name| message.header.bag.get(name).and_then(|value| value.as_str());
        if says(Replay::LEFT_BY) == Some(self.mark.as_str()) {
            // It was counted when it was left.
            self.is_round = true;
            return false;
        }
        if says(Replay::REPLAYED_BY) == Some(self.replay.name.as_str()) {
            self.done.came_back += 1;
            return false;
        }
        let rejected = Rejection::read(&message.header);
        let is_chosen = (self.choose)(&DeadLetter { message, rejected });
        self.done.left += u64::from(!is_chosen);
        is_chosen
    }

    /// Returns the message as if it had never been handled.
    fn anew(&self, message: &Message) -> Message {
        let mut anew = message.clone();
        let header = &mut anew.header;
        header.handled_count = 0;
        let notes = header.bag.iter().map(|(name, _)| name.to_owned());
        let notes: Vec<_> = notes.filter(|name| rejection_headers::is_one(name)).collect();
        for note in notes.iter().map(String::as_str).chain([Replay::LEFT_BY]) {
            header.bag.remove(note);
        }
        header.bag.insert(Replay::REPLAYED_BY, self.replay.name.as_str());
        anew
    }

    /// Sends the first of those that stay to the end, if they are too many to be kept in hand.
    async fn leave(&mut self) -> Result<(), ReplayError> {
        let room = HELD.saturating_sub(self.unreadable.len());
        let mut last = Vec::new();
        while !self.is_round
            && self
                .held
                .front()
                .is_some_and(|first| first.redeliveries() >= TOO_OFTEN)
            && let Some(delivery) = self.held.pop_front()
        {
            last.push(delivery);
        }
        while !self.is_round
            && self.held.len() > room
            && let Some(delivery) = self.held.pop_front()
        {
            last.push(delivery);
        }
        let last = last.into_iter().filter_map(|delivery| {
            let mut message = delivery.message().ok()?.clone();
            message.header.bag.insert(Replay::LEFT_BY, self.mark.as_str());
            Some((delivery, message))
        });
        let left = moved(last.collect(), &self.replay.from).await;
        let left = left.into_iter().collect::<Result<(), _>>();
        left.map_err(|error| self.not_moved(error))
    }

    fn not_had(&self, source: ChannelError) -> ReplayError {
        let done = self.done;
        ReplayError::Channel { done, source }
    }

    fn not_moved(&self, source: SettleError) -> ReplayError {
        let done = self.done;
        ReplayError::NotMoved { done, source }
    }
}

/// Moves them all at once, in their order.
async fn moved(some: Vec<(Delivery, Message)>, to: &ChannelName) -> Vec<Result<(), SettleError>> {
    join_all(
        some.into_iter()
            .map(|(delivery, message)| delivery.move_to(to, message)),
    )
    .await
}
