//! A file as a broker, for the processes of one machine: [`SqliteBroker`].
//!
//! It is for those who run no server yet: a program and its workers, an appliance, a test. What was published is on the
//! disk (`synchronous = FULL`) before anybody is told so, and is gone from it only after its handler is done.
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

mod change;
#[cfg(feature = "config")]
mod configure;
mod cycle;
mod declare;
mod desk;
mod engine;
mod error;
mod options;
mod row;
mod schema;
mod seat;
mod seats;
mod settle;
mod settling;
mod state;
mod temporary;
mod topology;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub use error::SqliteBrokerError;
pub use options::SqliteBrokerOptions;

use brighter_core::channel::{
    Broker, BrokerStatus, Channel, ChannelError, Consumer, ConsumerBounds, Producer, PublishError,
    SettleError,
};
use brighter_core::message::{ChannelName, Message};
use desk::{Batch, Desk, POSTINGS, Posting, Request};
use row::Outgoing;
use seat::Deliveries;

/// How long anyone waits for the file.
const DEADLINE: Duration = Duration::from_secs(30);

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
pub struct SqliteBroker(Arc<Handle>);

/// What all clones share, and every consumer and delivery. Without one the engine ends.
pub(crate) struct Handle {
    desk: Arc<Desk>,
    path: PathBuf,
    confirm_within: Duration,
}

impl SqliteBroker {
    /// Opens this file, makes it if it is missing, and makes the tables or brings them up to date. They may stand
    /// beside those of an outbox, an inbox and an application.
    ///
    /// # Errors
    /// The file cannot be opened, made or written, is no database, or has tables newer than this program: see
    /// [`SqliteBrokerError`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SqliteBrokerError> {
        Self::open_with(path, &SqliteBrokerOptions::default()).await
    }

    /// The same, with what may be chosen of it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(
        path: impl AsRef<Path>,
        options: &SqliteBrokerOptions,
    ) -> Result<Self, SqliteBrokerError> {
        let path = path.as_ref().to_owned();
        let desk = Arc::new(Desk::new());
        let opened = engine::start(path.clone(), options.clone(), Arc::clone(&desk))?;
        // Ends the engine if nobody waits any longer.
        let confirm_within = options.confirm_within;
        let broker = Self(Arc::new(Handle {
            desk,
            path,
            confirm_within,
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
            .ask(|reply| Request::Waiting(channel, at_most, reply))
            .await
    }
}

impl Handle {
    /// Asks the engine, and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, ChannelError>>) -> Request,
    ) -> Result<T, ChannelError> {
        let (reply, answer) = oneshot::channel();
        let request = request(reply);
        if !self.desk.lay(|batch| batch.requests.push(request)) {
            return Err(ChannelError::Closed);
        }
        match timeout(DEADLINE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ChannelError::Closed),
            Err(_) => Err(ChannelError::TimedOut { after: DEADLINE }),
        }
    }

    /// Lays messages on the desk once there is room, and waits until they are on the disk. What stands still waits no
    /// longer than the deadline.
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        if messages.is_empty() {
            return Vec::new();
        }
        let count = messages.len();
        let (reply, answer) = oneshot::channel();
        let posting = Posting {
            count,
            messages,
            reply,
        };
        let published = async {
            // The desk is as large as the number says, so the permits are there some day.
            let permits = u32::try_from(count).unwrap_or(u32::MAX);
            let _room = self.desk.room.acquire_many(permits).await.ok()?;
            if !self.desk.lay(|batch: &mut Batch| batch.postings.push(posting)) {
                return None;
            }
            answer.await.ok()
        };
        let all = |error: &dyn Fn() -> PublishError| (0..count).map(|_| Err(error())).collect();
        let after = self.confirm_within;
        match timeout(after, published).await {
            Ok(Some(results)) => results,
            Ok(None) => all(&|| PublishError::Closed),
            Err(_) => all(&|| PublishError::TimedOut { after }),
        }
    }
}

impl Producer for SqliteBroker {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        async move {
            message.header.topic.validate()?;
            let mut results = self.0.publish(vec![Outgoing::new(message)?]).await;
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
}

impl SqliteBroker {
    async fn publish_some(&self, messages: &[&Message]) -> Vec<Result<(), PublishError>> {
        let mut outgoing = Vec::with_capacity(messages.len());
        // What cannot be written is not laid on the desk, and its place is kept.
        let kept: Vec<Result<(), PublishError>> = messages
            .iter()
            .map(|message| {
                message.header.topic.validate()?;
                outgoing.push(Outgoing::new(message)?);
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
            let asked = channel.clone();
            let opened = self.0.ask(|reply| Request::Consume(asked, reply)).await?;
            Ok(Deliveries::consumer(Arc::clone(&self.0), opened, channel))
        }
        .boxed()
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        async move {
            declare::check(channel)?;
            let channel = channel.clone();
            self.0.ask(|reply| Request::Declare(channel, reply)).await
        }
        .boxed()
    }

    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        async move {
            channel.validate()?;
            let channel = channel.clone();
            self.0.ask(|reply| Request::Remove(channel, reply)).await
        }
        .boxed()
    }

    /// `None`, if there is no such channel. What waits for its delay does not count.
    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        let name = channel.name.clone();
        self.0.ask(|reply| Request::Depth(name, reply)).boxed()
    }

    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        match channel.limits.deliveries {
            Some(times) => ConsumerBounds::new().deliveries(times),
            None => ConsumerBounds::new(),
        }
    }

    fn status(&self) -> BrokerStatus {
        self.0.desk.status()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        async move {
            let flushed = self.0.ask(Request::Flush).await;
            flushed.map_err(|error| SettleError::Other(error.into()))
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let desk = &self.0.desk;
        desk.closing.cancel();
        async move {
            // The engine has a deadline of its own; this is for one that is stuck in the system.
            let _ = timeout(DEADLINE, desk.closed.cancelled()).await;
        }
        .boxed()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.desk.closing.cancel();
    }
}

impl fmt::Debug for SqliteBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBroker")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}
