//! [`Broken`]: a broker with a flaw, in front of one that has none.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use brighter::Message;
use brighter::channel::{
    Broker, BrokerStatus, Channel, ChannelError, ChannelLimits, ChannelUsage, Consumer, DeclareMode,
    Delivery, Producer, PublishError,
};
use brighter::message::{Bag, ChannelName, MessageBody};
use brighter::testing::FaultyBroker;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending, ready};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Flaw::{self, *};
use super::consumer;

/// The channels and topics that were consumed so far at one place.
pub(super) type Seen = Arc<Mutex<BTreeSet<(String, String)>>>;

/// A broker with a flaw, in front of one that has none.
pub(super) struct Broken(Arc<Shared>);

pub(super) struct Shared {
    pub(super) flaw: Flaw,
    pub(super) server: FaultyBroker,
    pub(super) closed: watch::Sender<bool>,
    /// How many consumers there are.
    pub(super) consumers: AtomicUsize,
    seen: Seen,
    published: AtomicU64,
    /// Acks that are not written yet.
    pub(super) acked: Mutex<Vec<Delivery>>,
    /// When the last delay ends.
    pub(super) last_delay: Mutex<Option<Instant>>,
}

impl Broken {
    pub(super) fn new(flaw: Flaw, server: FaultyBroker, seen: Seen) -> Self {
        Self(Arc::new(Shared {
            flaw,
            server,
            closed: watch::Sender::new(false),
            consumers: AtomicUsize::new(0),
            seen,
            published: AtomicU64::new(0),
            acked: Mutex::default(),
            last_delay: Mutex::default(),
        }))
    }
}

impl Shared {
    pub(super) fn is_closed(&self) -> bool {
        self.flaw != GoesOnWhenClosed && *self.closed.borrow()
    }

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        if self.is_closed() {
            return Err(PublishError::Closed);
        }
        let number = self.published.fetch_add(1, Ordering::Relaxed) + 1;
        match self.flaw {
            LosesSome if number.is_multiple_of(7) => return Ok(()),
            DoublesSome if number.is_multiple_of(7) => self.server.publish(message).await?,
            KeepsNothing if self.consumers.load(Ordering::Relaxed) == 0 => return Ok(()),
            _ => {}
        }
        if self.flaw == StopsAtAFullChannel {
            let usages = self.server.channels().await.unwrap_or_default();
            let topic = &message.header.topic;
            let is_full = |usage: &&ChannelUsage| {
                usage.is_full() && usage.routing_keys.iter().any(|key| key.matches(topic))
            };
            if let Some(full) = usages.iter().find(is_full) {
                return Err(PublishError::Refused {
                    reason: format!("`{}` is full", full.name),
                });
            }
        }
        let published = self.server.publish(&self.spoilt(message)).await;
        match (self.flaw, published) {
            (SwallowsUnroutable, Err(PublishError::Unroutable { .. })) => Ok(()),
            (ForgetsWhyANameIsWrong, Err(PublishError::Name(name))) => Err(PublishError::Other(name.into())),
            (_, published) => published,
        }
    }

    fn spoilt(&self, message: &Message) -> Message {
        let mut message = message.clone();
        match self.flaw {
            LosesHeaders => message.header.correlation_id = None,
            LowersHeaderNames => {
                let mut lowered = Bag::default();
                for (name, value) in message.header.bag.iter() {
                    lowered.insert(name.to_lowercase(), value.clone());
                }
                message.header.bag = lowered;
            }
            CutsBodies if message.body.len() > 65_535 => {
                message.body = MessageBody::new(message.body.to_bytes().slice(..65_535));
            }
            _ => {}
        }
        message
    }

    /// The channel as this broker understands it.
    fn misread(&self, channel: &Channel) -> Channel {
        let mut channel = channel.clone();
        match self.flaw {
            MixesTopics => channel.routing_keys = vec!["#".into()],
            TakesPatternsLiterally => {
                let literally = |key: &brighter::message::RoutingKey| key.as_str().replace(['*', '#'], "any");
                channel.routing_keys = channel
                    .routing_keys
                    .iter()
                    .map(|key| literally(key).into())
                    .collect();
            }
            GivesOneCopy => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let name = channel.name.to_string();
                channel.routing_keys.retain(|key| {
                    let key = key.to_string();
                    let taken = seen.iter().any(|(by, of)| *of == key && *by != name);
                    seen.insert((name.clone(), key));
                    !taken
                });
            }
            MakesWhatIsAbsent => channel.declare = DeclareMode::Create,
            IgnoresBuffers => channel.buffer = 100.try_into().unwrap(),
            HasABufferOfOne => channel.buffer = 1.try_into().unwrap(),
            IgnoresLimits => channel.limits = ChannelLimits::default(),
            _ => {}
        }
        channel
    }
}

impl Producer for Broken {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        self.0.publish(message).boxed()
    }

    fn publish_all<'a>(&'a self, messages: Vec<&'a Message>) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        async move {
            let mut published = Vec::new();
            for message in messages {
                published.push(self.publish(message).await);
            }
            if self.0.flaw == AnswersForAll && published.iter().any(Result::is_err) {
                let refused = |_| {
                    Err(PublishError::Unroutable {
                        topic: "one of them".into(),
                    })
                };
                published = published.into_iter().map(refused).collect();
            }
            published
        }
        .boxed()
    }

    fn highest_priority(&self) -> Option<u8> {
        self.0.server.highest_priority()
    }
}

impl Broker for Broken {
    fn system(&self) -> &'static str {
        "broken"
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        async move {
            if self.0.is_closed() {
                return Err(ChannelError::Closed);
            }
            let consumer = self.0.server.consume(&self.0.misread(channel)).await;
            let consumer = match (self.0.flaw, consumer) {
                (ForgetsWhyANameIsWrong, Err(ChannelError::Name(name))) => {
                    return Err(ChannelError::Disconnected(name.into()));
                }
                (_, consumer) => consumer?,
            };
            let first = {
                let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
                self.0.flaw != ServesOneConsumer || seen.insert((channel.name.to_string(), String::new()))
            };
            let consumer = consumer::over(&self.0, consumer, first);
            if self.0.flaw != KeepsConsumersGivenUp {
                return Ok(consumer);
            }
            let mut given_up = consumer::KeptForEver::new(consumer);
            tokio::task::yield_now().await;
            Ok(given_up.take())
        }
        .boxed()
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        async move {
            match self.0.flaw {
                DeclaresNothing => Ok(()),
                _ => self.0.server.declare(channel).await,
            }
        }
        .boxed()
    }

    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        async move {
            match self.0.flaw {
                RemovesNothing => Ok(()),
                _ => self.0.server.remove(channel).await,
            }
        }
        .boxed()
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        async move {
            let depth = self.0.server.depth(channel).await?;
            let more = u64::from(self.0.flaw == CountsOneMore);
            Ok(depth.map(|depth| depth + more))
        }
        .boxed()
    }

    fn consumer_count(&self, channel: &ChannelName) -> Option<u64> {
        self.0.server.consumer_count(channel)
    }

    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelUsage>, ChannelError>> {
        match self.0.flaw {
            ListsNothing => ready(Ok(Vec::new())).boxed(),
            _ => self.0.server.channels(),
        }
    }

    fn status(&self) -> BrokerStatus {
        if self.0.is_closed() {
            return BrokerStatus::Closed;
        }
        if self.0.flaw == StaysConnected {
            return BrokerStatus::Connected;
        }
        self.0.server.status()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            let before = self.0.closed.send_replace(true);
            if before && self.0.flaw == HangsWhenClosedTwice {
                pending::<()>().await;
            }
            // What is dropped goes back.
            self.0
                .acked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
        }
        .boxed()
    }
}
