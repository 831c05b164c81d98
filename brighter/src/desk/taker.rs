//! Takes rejected messages off their channels into the store.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Desk, OperateError};
use brighter_core::channel::{
    Broker, Channel, ChannelError, Consumer, Delivery, Rejection, RejectionKind, rejection_headers,
};
use brighter_core::desk::{DeskError, DeskStore, NewDeskMessage, Taken};
use brighter_core::message::{BagValue, ChannelName, Message};

/// How many messages are stored in one transaction, and how many bytes of bodies.
const TOGETHER: usize = 100;
const BYTES_TOGETHER: usize = 8 << 20;
/// How many messages that cannot be kept are left in hand, unsettled.
const HELD: usize = 100;
const BUFFER: NonZeroU16 = match NonZeroU16::new((HELD + 2 * TOGETHER) as u16) {
    Some(buffer) => buffer,
    None => NonZeroU16::MIN,
};
/// The pauses after a failure: the first, which doubles, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// When nothing has come for so long, the broker is asked whether something waits.
const QUIET: Duration = Duration::from_millis(500);
/// How often the broker may say that something waits while nothing comes.
const PATIENCE: u32 = 20;

/// The number of messages that were taken off their channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TakenCounts {
    /// Were new.
    pub new: u64,
    /// Were there, and had died again.
    pub again: u64,
    /// Were there already: they were delivered twice.
    pub known: u64,
    /// Could not be read or kept, and stay in their channel.
    pub left: u64,
}

/// A channel of rejected messages.
#[derive(Debug, Clone)]
pub(super) struct Source {
    name: ChannelName,
    kind: RejectionKind,
    /// The channels that reject messages to it.
    from: Vec<ChannelName>,
}

impl Source {
    fn channel(&self) -> Channel {
        let mut channel = Channel::existing(self.name.clone());
        channel.buffer = BUFFER;
        channel
    }

    /// Returns the channel that has rejected a message, if that can be told.
    fn origin(&self, message: &Message) -> Option<ChannelName> {
        if let [one] = &self.from[..] {
            return Some(one.clone());
        }
        let rejected_by = message.header.bag.get(rejection_headers::REJECTED_BY);
        let rejected_by = rejected_by.and_then(BagValue::as_str)?;
        let counts: std::collections::BTreeMap<String, u64> = serde_json::from_str(rejected_by).ok()?;
        let mut known = self.from.iter().filter(|name| counts.contains_key(name.as_str()));
        match (known.next(), known.next()) {
            (Some(one), None) => Some(one.clone()),
            _ => None,
        }
    }

    fn new_message(&self, message: &Message) -> Result<NewDeskMessage, DeskError> {
        // What the broker has rejected by itself into a shared channel tells no kind.
        let kind = Rejection::read(&message.header).map_or(self.kind, |rejected| rejected.rejection.kind);
        let origin = self.origin(message);
        NewDeskMessage::new(message.clone(), self.name.clone(), origin, kind).map_err(|source| {
            DeskError::NotKept {
                id: message.header.id.to_string(),
                source,
            }
        })
    }
}

/// Takes messages off one channel.
struct Taking<'a> {
    store: &'a Arc<dyn DeskStore>,
    source: &'a Source,
    counts: TakenCounts,
    /// Messages that cannot be kept. They would come again at once if they were given back.
    held: Vec<Delivery>,
}

impl Desk {
    /// Returns the channels of rejected messages, each of them once.
    pub(super) fn sources(&self) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        for channel in &self.channels {
            for (name, kind) in [
                (&channel.dead_letters, RejectionKind::DeadLetter),
                (&channel.invalid_messages, RejectionKind::Invalid),
            ] {
                match sources.iter_mut().find(|source| source.name == *name) {
                    None => sources.push(Source {
                        name: name.clone(),
                        kind,
                        from: vec![channel.name.clone()],
                    }),
                    Some(known) if !known.from.contains(&channel.name) => {
                        known.from.push(channel.name.clone());
                    }
                    Some(_) => {}
                }
            }
        }
        sources
    }

    /// Takes the messages that wait in the channels, and returns when no more wait.
    ///
    /// # Errors
    /// Returns an error if a channel cannot be consumed, or if the store fails. What was taken until then is kept.
    pub async fn take_waiting(&self) -> Result<TakenCounts, OperateError> {
        let mut counts = TakenCounts::default();
        for source in self.sources() {
            let mut taking = Taking::new(&self.store, &source);
            let done = taking.until_empty(&*self.broker).await;
            counts.new += taking.counts.new;
            counts.again += taking.counts.again;
            counts.known += taking.counts.known;
            counts.left += taking.counts.left;
            done?;
        }
        Ok(counts)
    }

    /// Takes messages off one channel until the desk ends.
    pub(super) async fn keep_taking(&self, source: Source, ending: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        while !ending.is_cancelled() {
            let mut taking = Taking::new(&self.store, &source);
            let done = tokio::select! {
                done = taking.until_failed(&*self.broker) => done,
                () = ending.cancelled() => return,
            };
            if taking.counts != TakenCounts::default() {
                pause = FIRST_PAUSE;
            }
            if let Err(error) = done {
                let (error, channel) = (brighter_core::__private::report(&error), source.name.as_str());
                tracing::warn!(error, channel, retry_in = ?pause, "cannot take rejected messages to the desk");
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = ending.cancelled() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl<'a> Taking<'a> {
    fn new(store: &'a Arc<dyn DeskStore>, source: &'a Source) -> Self {
        Self {
            store,
            source,
            counts: TakenCounts::default(),
            held: Vec::new(),
        }
    }

    async fn until_failed(&mut self, broker: &dyn Broker) -> Result<(), OperateError> {
        let mut consumer = broker.consume(&self.source.channel()).await?;
        loop {
            let first = consumer.receive().await;
            self.batch(first, &mut consumer).await?;
            if self.held.len() >= HELD {
                tracing::error!(
                    channel = self.source.name.as_str(),
                    messages = self.held.len(),
                    "too many messages cannot be kept at the desk; they go back to their channel"
                );
                return Ok(());
            }
        }
    }

    async fn until_empty(&mut self, broker: &dyn Broker) -> Result<(), OperateError> {
        let channel = self.source.channel();
        let mut consumer = broker.consume(&channel).await?;
        let mut in_vain = 0;
        while self.held.len() < HELD {
            match timeout(QUIET, consumer.receive()).await {
                Ok(first) => {
                    in_vain = 0;
                    self.batch(first, &mut consumer).await?;
                }
                Err(_) => {
                    in_vain += 1;
                    if broker.depth(&channel).await?.unwrap_or(0) == 0 || in_vain > PATIENCE {
                        break;
                    }
                }
            }
        }
        self.held.clear();
        consumer.close().await?;
        Ok(())
    }

    /// Stores a delivery and those that have come behind it, and then acknowledges them.
    async fn batch(
        &mut self,
        first: Option<Result<Delivery, ChannelError>>,
        consumer: &mut Consumer,
    ) -> Result<(), OperateError> {
        let (mut deliveries, mut messages, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = first;
        loop {
            let delivery = next.ok_or(ChannelError::Closed)??;
            match self.read(&delivery) {
                Ok(message) => {
                    bytes += message.message.body.len();
                    deliveries.push(delivery);
                    messages.push(message);
                }
                Err(error) => self.hold(delivery, &*error),
            }
            if deliveries.len() == TOGETHER || bytes >= BYTES_TOGETHER || self.held.len() >= HELD {
                break;
            }
            match consumer.receive().now_or_never() {
                Some(another) => next = another,
                None => break,
            }
        }
        brighter_core::__private::fault_point!("desk.received");
        match self.store.take(&messages).await {
            Ok(taken) => self.acknowledge(deliveries, &taken).await,
            Err(error) if error.is_outage() => Err(error.into()),
            // One of them may be at fault: each has its own try.
            Err(_) => self.one_by_one(deliveries, &messages).await,
        }
    }

    fn read(&self, delivery: &Delivery) -> Result<NewDeskMessage, brighter_core::error::BoxError> {
        let message = delivery.message()?;
        Ok(self.source.new_message(message)?)
    }

    fn hold(&mut self, delivery: Delivery, error: &(dyn std::error::Error + Send + Sync + 'static)) {
        let (error, channel) = (brighter_core::__private::report(error), self.source.name.as_str());
        tracing::warn!(
            error,
            channel,
            "message cannot be kept at the desk; it stays in its channel"
        );
        self.counts.left += 1;
        self.held.push(delivery);
    }

    async fn one_by_one(
        &mut self,
        deliveries: Vec<Delivery>,
        messages: &[NewDeskMessage],
    ) -> Result<(), OperateError> {
        let mut failed = 0;
        for (delivery, message) in deliveries.into_iter().zip(messages) {
            match self.store.take(std::slice::from_ref(message)).await {
                Ok(taken) => self.acknowledge(vec![delivery], &taken).await?,
                Err(error) => {
                    failed += 1;
                    // It is the store that fails, not a message.
                    if error.is_outage() || (failed == messages.len() && failed > 1) {
                        return Err(error.into());
                    }
                    self.hold(delivery, &error);
                }
            }
        }
        Ok(())
    }

    async fn acknowledge(&mut self, deliveries: Vec<Delivery>, taken: &[Taken]) -> Result<(), OperateError> {
        brighter_core::__private::fault_point!("desk.taken");
        for (delivery, taken) in deliveries.into_iter().zip(taken) {
            match taken {
                Taken::New => self.counts.new += 1,
                Taken::Again => self.counts.again += 1,
                _ => self.counts.known += 1,
            }
            // It comes again, and is known then.
            if let Err(error) = delivery.ack().await {
                let (error, channel) = (
                    brighter_core::__private::report(&error),
                    self.source.name.as_str(),
                );
                tracing::debug!(
                    error,
                    channel,
                    "message was kept at the desk and not acknowledged"
                );
            }
        }
        brighter_core::__private::fault_point!("desk.acknowledged");
        Ok(())
    }
}
