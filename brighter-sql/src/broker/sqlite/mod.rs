//! A file as a broker, for the processes of one machine: [`SqliteBroker`].
//!
//! It is for applications without a server: a program and its consumers, an appliance, a test. A message is on the disk
//! (`synchronous = FULL`) before its publisher gets a result, and is removed only after its handler is done.
//!
//! | concept | in the file |
//! |---|---|
//! | a topic | the routing keys of channels, patterns of topics among them, as on RabbitMQ |
//! | a channel | rows of one table, each copy of a message one row, with `.dlq` and `.invalid` beside it |
//! | competing consumers | in one process or several: one consumer at a time holds a message |
//! | a process that dies | its session expires, and its unsettled messages are delivered again, and counted |
//! | a retry | a row that returns after its delay to that channel alone |
//! | a dead letter | a copy with the reason in its headers, in one transaction with the end of the original |
//!
//! One thread writes for the whole process. All work that arrives while the disk is busy becomes the next transaction,
//! so the cost per message falls as the load grows.
//!
//! Within one process a message wakes its consumer. Changes of other processes are detected by asking SQLite whether
//! the file has changed (`PRAGMA data_version`): every 5 ms under load, and less often, down to five times a second,
//! when idle.
//!
//! # When to move to RabbitMQ
//! Move when several machines take part, or when one disk cannot write the load (a few thousand messages a second).
//! Move also when messages must survive the loss of the disk, when other systems read them, or when you need monitoring
//! tools. It is one line:
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
//! The file must be on a local disk: the locks of network file systems are unreliable.

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

/// A broker in a file, for the processes of one machine that open it. Clones share one broker.
///
/// See the [module](self) for its behaviour, and when to use another broker.
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
    /// Opens this file, or creates it, and creates or upgrades the tables. The same file may have the tables of an
    /// outbox, an inbox and an application.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened, created or written, is no database, or has tables newer than this
    /// program. Also returns an error if an option has an invalid value: see [`SqliteBrokerError`].
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
        // Dropped if no caller waits, which ends the engine.
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

    /// Returns up to `at_most` messages that wait in a channel, the next one first, without taking them. Use it to
    /// inspect dead letters. Returns no messages if the channel does not exist.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or the broker is closed.
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
            let mut results = self.0.publish(vec![StoredMessage::new(message)?], None).await;
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
        // A message that cannot be stored is not queued; its result keeps its position.
        let kept: Vec<Result<(), PublishError>> = messages
            .iter()
            .map(|message| {
                message.header.topic.validate()?;
                outgoing.push(StoredMessage::new(message)?);
                Ok(())
            })
            .collect();
        let mut results = self.0.publish(outgoing, None).await.into_iter();
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

    fn send_to<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<(), PublishError>> {
        async move {
            message.header.topic.validate()?;
            let (message, to) = (StoredMessage::new(message)?, Some(channel.clone()));
            let mut results = self.0.publish(vec![message], to).await;
            results.pop().unwrap_or(Err(PublishError::Closed))
        }
        .boxed()
    }

    /// Returns `None` if the channel does not exist. Delayed messages do not count.
    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        let name = channel.name.clone();
        self.0.ask(|reply| EngineRequest::Depth(name, reply)).boxed()
    }

    /// Leaves the number of consumers unknown, because it is not in the file.
    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelUsage>, ChannelError>> {
        self.0.ask(EngineRequest::Usages).boxed()
    }

    /// Returns the consumers that have missed a sign of life, by this process's own lease.
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
            // The engine has a deadline of its own; this one is for an engine that is stuck in a system call.
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
