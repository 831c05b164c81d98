//! [`FaultyBroker`]: the in-memory broker, which fails when it is told to.

mod consumer;
mod fault;
mod link;
mod random;
mod script;
mod shared;

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};

pub use self::fault::{PublishFault, SettleFault};
pub use self::random::RandomFaults;
use self::script::Script;
use self::shared::Shared;
use super::app::Journal;
use crate::in_memory::broker::InMemoryBroker;
use brighter_core::channel::{
    Broker, BrokerStatus, Channel, ChannelError, ChannelUsage, Consumer, ConsumerBounds, Producer,
    PublishError, SettleError, SilentConsumer,
};
use brighter_core::message::{ChannelName, Message};

/// The in-memory broker, which fails when it is told to: for a test of what an application does when its broker
/// does not do what it should. Without a word it is the broker behind it.
///
/// Faults are told in three ways: for the next calls, one each; for every call; or [at random](Self::at_random),
/// from a seed. The first way goes before the second, the second before the third.
///
/// Clones are the same broker.
///
/// ```
/// use brighter::channel::{Broker, Channel, Producer, PublishError};
/// # use brighter::message::{MessageBody, MessageHeader, MessageType};
/// use brighter::testing::{FaultyBroker, PublishFault};
/// use brighter::{InMemoryBroker, Message, MessageId};
///
/// # brighter::testing::run(async {
/// let broker = FaultyBroker::new(InMemoryBroker::new());
/// broker.inner().declare(&Channel::new("greetings", "Greeting")).await.unwrap();
/// broker.next_publishes([PublishFault::Refuse]);
///
/// # let header = MessageHeader::new(MessageId::new(), "Greeting", MessageType::Command);
/// # let message = Message::new(header, MessageBody::new("{}"));
/// assert!(matches!(broker.publish(&message).await, Err(PublishError::Refused { .. })));
/// broker.publish(&message).await.unwrap();
/// assert_eq!(broker.inner().messages("greetings").len(), 1);
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct FaultyBroker(Arc<Shared>);

/// How long a message that is to come after the next one waits for it at most.
const LONGEST_OVERTAKING: Duration = Duration::from_secs(1);

impl FaultyBroker {
    /// This broker, with no faults yet.
    #[must_use]
    pub fn new(inner: InMemoryBroker) -> Self {
        Self(Arc::new(Shared::new(inner)))
    }

    /// The broker behind it, which does not fail.
    #[must_use]
    pub fn inner(&self) -> &InMemoryBroker {
        &self.0.inner
    }

    /// The next messages that are published meet these, one each.
    pub fn next_publishes(&self, faults: impl IntoIterator<Item = PublishFault>) {
        self.script().next_publishes.extend(faults);
    }

    /// Every message that is published meets this, or none.
    pub fn every_publish(&self, fault: Option<PublishFault>) {
        self.script().every_publish = fault;
    }

    /// The next acks, requeues and rejections meet these, one each.
    pub fn next_settles(&self, faults: impl IntoIterator<Item = SettleFault>) {
        self.script().next_settles.extend(faults);
    }

    /// Every ack, requeue and rejection meets this, or none.
    pub fn every_settle(&self, fault: Option<SettleFault>) {
        self.script().every_settle = fault;
    }

    /// Whatever is told nothing else meets these, or none.
    pub fn at_random(&self, faults: Option<RandomFaults>) {
        self.script().random = faults;
    }

    /// Loses the connection: consumers end with [`ChannelError::Disconnected`], what was not settled goes back to
    /// its channel and can no longer be settled, and nothing is published or consumed until
    /// [`restore_connection`](Self::restore_connection).
    pub fn lose_connection(&self) {
        self.0.link.lose();
        if let Some(journal) = self.0.journal.get() {
            journal.note("the connection is lost");
        }
    }

    /// Restores the connection.
    pub fn restore_connection(&self) {
        self.0.link.restore();
        if let Some(journal) = self.0.journal.get() {
            journal.note("the connection is back");
        }
    }

    /// Records every event in this journal.
    ///
    /// # Panics
    /// The broker has one already.
    pub(super) fn recorded_by(&self, journal: &Arc<Journal>) {
        let new = self.0.inner.watched_by(Arc::clone(journal) as _)
            && self.0.journal.set(Arc::clone(journal)).is_ok();
        assert!(
            new,
            "a broker is part of one test application only: make another for this one"
        );
    }

    /// Holds deliveries back, or lets them go: until every channel of an application is there.
    pub(super) fn hold(&self, held: bool) {
        self.0.link.hold(held);
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script()
    }

    async fn publish_faulty(&self, message: &Message) -> Result<(), PublishError> {
        let fault = self.script().publish();
        if !self.0.link.is_up() {
            return Err(PublishError::Disconnected("the connection is lost".into()));
        }
        match fault {
            None => {}
            Some(PublishFault::Away) => return Err(PublishError::Disconnected("pulled the plug".into())),
            Some(PublishFault::Refuse) => {
                return Err(PublishError::Refused {
                    reason: "told to refuse".into(),
                });
            }
            Some(PublishFault::ConfirmLost) => {
                self.0.inner.publish(message).await?;
                return Err(PublishError::Disconnected("pulled the plug too late".into()));
            }
            Some(PublishFault::Duplicate) => self.0.inner.publish(message).await?,
            Some(PublishFault::Delay(time)) => tokio::time::sleep(time).await,
            Some(PublishFault::Reorder) => {
                let next = self.0.published.notified();
                let _ = tokio::time::timeout(LONGEST_OVERTAKING, next).await;
            }
        }
        self.0.inner.publish(message).await?;
        self.0.published.notify_waiters();
        Ok(())
    }
}

impl Producer for FaultyBroker {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        async move {
            let published = self.publish_faulty(message).await;
            if let (Err(error), Some(journal)) = (&published, self.0.journal.get()) {
                journal.not_published(message, error);
            }
            published
        }
        .boxed()
    }

    fn highest_priority(&self) -> Option<u8> {
        self.0.inner.highest_priority()
    }
}

impl Broker for FaultyBroker {
    fn system(&self) -> &'static str {
        self.0.inner.system()
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        async move {
            let generation = self.0.link.generation()?;
            let inner = self.0.inner.consume(channel).await?;
            if let Some(journal) = self.0.journal.get() {
                journal.consumed(&channel.name);
            }
            Ok(consumer::over(Arc::clone(&self.0), inner, generation))
        }
        .boxed()
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        async move {
            self.0.link.generation()?;
            self.0.inner.declare(channel).await
        }
        .boxed()
    }

    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        async move {
            self.0.link.generation()?;
            self.0.inner.remove(channel).await
        }
        .boxed()
    }

    fn send_to<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<(), PublishError>> {
        async move {
            self.0
                .link
                .generation()
                .map_err(|error| PublishError::Disconnected(error.into()))?;
            self.0.inner.send_to(channel, message).await
        }
        .boxed()
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        async move {
            self.0.link.generation()?;
            self.0.inner.depth(channel).await
        }
        .boxed()
    }

    fn consumer_count(&self, channel: &ChannelName) -> Option<u64> {
        self.0.inner.consumer_count(channel)
    }

    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelUsage>, ChannelError>> {
        async move {
            self.0.link.generation()?;
            self.0.inner.channels().await
        }
        .boxed()
    }

    fn silent_consumers(&self) -> BoxFuture<'_, Result<Vec<SilentConsumer>, ChannelError>> {
        async move {
            self.0.link.generation()?;
            self.0.inner.silent_consumers().await
        }
        .boxed()
    }

    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        self.0.inner.bounds(channel)
    }

    fn status(&self) -> BrokerStatus {
        match self.0.link.generation() {
            Ok(_) => self.0.inner.status(),
            Err(_) => BrokerStatus::Disconnected {
                reason: "the connection is lost".into(),
            },
        }
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        self.0.inner.flush()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.0.inner.close()
    }
}
