//! A file as a broker, for the processes of one machine: [`SqliteBroker`].
//!
//! It is for applications that run no server yet: a program and its workers, an appliance, a test. What was published is
//! on the disk (`synchronous = FULL`) before anybody is told so, and is gone from it only after its handler is done.
//!
//! | what | how |
//! |---|---|
//! | a topic | the routing keys of channels, patterns of topics among them, as on RabbitMQ |
//! | a channel | rows of one table, each copy of a message one row, with `.dlq` and `.invalid` beside it |
//! | competing consumers | of one process or of several: a message is in one hand at a time |
//! | a process that dies | its session is not renewed, and what it had in hand is delivered again, and counted |
//! | a retry | a row that comes back at its time to that channel alone |
//! | a dead letter | a copy with the reason in its headers, in one transaction with the end of the original |
//!
//! One thread writes for the whole process: whatever was asked of it while the disk was busy becomes the next
//! transaction, so that the more there is to do the less each message costs.
//!
//! In one process a message wakes its consumer. Of what other processes write it learns by asking SQLite whether the
//! file has changed (`PRAGMA data_version`): every 5 ms while something happens, and less often, down to five times a
//! second, when nothing does.
//!
//! # When to move to RabbitMQ
//! When a second machine has to take part; when one disk cannot write what there is (a few thousand messages a second); when
//! messages have to outlive the disk; when others than brighter have to read them; when channels have to be watched
//! with tools. It is one line:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # use brighter::{RabbitMq, SqliteBroker};
//! let broker = SqliteBroker::open("broker.db").await?;
//! # #[cfg(feature = "rabbitmq")]
//! let broker = RabbitMq::connect("amqp://guest:guest@localhost:5672/%2f").await?;
//! # Ok(()) }
//! ```
//!
//! The file must be on a disk of the machine: the locks of network file systems are not to be relied on.

mod broker_tx;
#[cfg(feature = "config")]
mod configure;
mod consumers;
mod declare;
mod delivery_buffer;
mod delivery_stream;
mod demand;
mod engine;
mod error;
mod handle;
mod options;
mod receipt;
mod request;
mod row;
mod schema;
mod session;
mod settling;
mod state;
mod temporary;
mod topology;
mod watch;
mod write_batch;
mod write_queue;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::timeout;

pub use error::SqliteBrokerError;
pub use options::SqliteBrokerOptions;

use crate::opening::Opening;
use brighter_core::channel::{
    Broker, BrokerStatus, Channel, ChannelError, ChannelUsage, Consumer, ConsumerBounds, Producer,
    PublishError, SettleError, SilentConsumer,
};
use brighter_core::message::{ChannelName, Message};
use delivery_stream::DeliveryStream;
use handle::{BrokerHandle, DEADLINE};
use request::EngineRequest;
use row::StoredMessage;
use write_queue::{POSTINGS, WriteQueue};

/// A broker in a file, for the processes of one machine that open it. Clones are the same broker.
///
/// See the [module](self) for what it does and when to use another.
///
/// ```
/// use brighter::SqliteBroker;
/// use brighter::channel::{Broker, Channel, Producer};
/// use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
/// use brighter::MessageId;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("broker.db");
/// let broker = SqliteBroker::open(&path).await?;
/// let mut tasks = broker.consume(&Channel::new("tasks", "Task.*")).await?;
///
/// let header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command);
/// broker.publish(&Message::new(header, MessageBody::new("{}"))).await?;
///
/// if let Some(delivery) = tasks.receive().await {
///     delivery?.ack().await?;
/// }
/// broker.close().await;
/// # Ok::<(), brighter::BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteBroker(Arc<BrokerHandle>);

impl SqliteBroker {
    /// Opens this file, makes it if it is missing, and makes the tables or brings them up to date. They may stand
    /// beside those of an outbox, an inbox and an application.
    ///
    /// # Errors
    /// The file cannot be opened, made or written, is no database, or has tables newer than this program; or an option
    /// has a value that it cannot have: see [`SqliteBrokerError`].
    pub fn open(path: impl AsRef<Path>) -> Opening<SqliteBrokerOptions, Result<Self, SqliteBrokerError>> {
        let path = path.as_ref().to_owned();
        Opening::new(|options| Self::open_file(path, options))
    }

    async fn open_file(path: PathBuf, options: SqliteBrokerOptions) -> Result<Self, SqliteBrokerError> {
        if let Some(invalid) = options.invalid() {
            return Err(SqliteBrokerError::Setting(invalid));
        }
        let queue = Arc::new(WriteQueue::new());
        let opened = engine::start(path.clone(), options.clone(), Arc::clone(&queue))?;
        // Ends the engine if nobody waits any longer.
        let confirm_timeout = options.confirm_timeout;
        let broker = Self(Arc::new(BrokerHandle {
            queue,
            path,
            confirm_timeout,
            consumers: AtomicU64::new(0),
        }));
        match timeout(DEADLINE, opened).await {
            Ok(Ok(opened)) => opened.map(|()| broker),
            Ok(Err(gone)) => Err(SqliteBrokerError::Other(gone.into())),
            Err(elapsed) => Err(SqliteBrokerError::Unavailable(elapsed.into())),
        }
    }

    /// The messages that wait in a channel, the next one first, at most so many: to look at dead letters. None, if
    /// there is no such channel. Nothing is taken.
    ///
    /// # Errors
    /// The file cannot be read, or the broker is closed.
    pub async fn messages(
        &self,
        channel: impl Into<ChannelName>,
        at_most: u32,
    ) -> Result<Vec<Message>, ChannelError> {
        let channel = channel.into();
        self.0
            .ask(|reply| EngineRequest::Waiting(channel, at_most, reply))
            .await
    }
}

impl Producer for SqliteBroker {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        async move {
            message.header.topic.validate()?;
            let mut results = self.0.publish(vec![StoredMessage::new(message)?]).await;
            results.pop().unwrap_or(Err(PublishError::Closed))
        }
        .boxed()
    }

    fn publish_all<'a>(&'a self, messages: Vec<&'a Message>) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        async move {
            let mut results = Vec::with_capacity(messages.len());
            for some in messages.chunks(POSTINGS) {
                results.extend(self.publish_some(some).await);
            }
            results
        }
        .boxed()
    }

    fn highest_priority(&self) -> Option<u8> {
        Some(u8::MAX)
    }
}

impl SqliteBroker {
    async fn publish_some(&self, messages: &[&Message]) -> Vec<Result<(), PublishError>> {
        let mut outgoing = Vec::with_capacity(messages.len());
        // What cannot be written is not queued, and its place is kept.
        let kept: Vec<Result<(), PublishError>> = messages
            .iter()
            .map(|message| {
                message.header.topic.validate()?;
                outgoing.push(StoredMessage::new(message)?);
                Ok(())
            })
            .collect();
        let mut results = self.0.publish(outgoing).await.into_iter();
        let next = |kept: Result<(), PublishError>| {
            kept.and_then(|()| results.next().unwrap_or(Err(PublishError::Closed)))
        };
        kept.into_iter().map(next).collect()
    }
}

impl Broker for SqliteBroker {
    fn system(&self) -> &'static str {
        "sqlite"
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        async move {
            declare::check(channel)?;
            DeliveryStream::consume(Arc::clone(&self.0), channel).await
        }
        .boxed()
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        async move {
            declare::check(channel)?;
            let channel = channel.clone();
            self.0.ask(|reply| EngineRequest::Declare(channel, reply)).await
        }
        .boxed()
    }

    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        async move {
            channel.validate()?;
            let channel = channel.clone();
            self.0.ask(|reply| EngineRequest::Remove(channel, reply)).await
        }
        .boxed()
    }

    /// `None`, if there is no such channel. What waits for its delay does not count.
    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        let name = channel.name.clone();
        self.0.ask(|reply| EngineRequest::Depth(name, reply)).boxed()
    }

    /// Whether anybody consumes a channel is not in the file, so it is not known here.
    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelUsage>, ChannelError>> {
        self.0.ask(EngineRequest::Usages).boxed()
    }

    /// Those that have missed a sign of life, by this process's own lease.
    fn silent_consumers(&self) -> BoxFuture<'_, Result<Vec<SilentConsumer>, ChannelError>> {
        self.0.ask(EngineRequest::Silent).boxed()
    }

    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        match channel.limits.deliveries {
            Some(times) => ConsumerBounds::new().deliveries(times),
            None => ConsumerBounds::new(),
        }
    }

    fn status(&self) -> BrokerStatus {
        self.0.queue.status()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        async move {
            let flushed = self.0.ask(EngineRequest::Flush).await;
            flushed.map_err(|error| SettleError::Other(error.into()))
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let queue = &self.0.queue;
        queue.closing.cancel();
        async move {
            // The engine has a deadline of its own; this is for one that is stuck in the system.
            let _ = timeout(DEADLINE, queue.closed.cancelled()).await;
        }
        .boxed()
    }
}

impl fmt::Debug for SqliteBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBroker")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}
