//! A broker over a directory of files, written against `brighter-core` alone. It shows how a transport is written;
//! README.md walks through it. For a broker in one file that is made for use, take `SqliteBroker`.
//!
//! ```text
//! channels/orders/channel.json                 what the channel is called, and which topics it wants
//! channels/orders/ready/<number>-<id>-<count>  messages that wait; the count says how often each was delivered before
//! channels/orders/taken/<owner>/…              messages that a process has in hand
//! channels/orders/delayed/<due>-<id>           messages that come again later
//! owners/<owner>                               locked while its process lives
//! ```
//!
//! A message moves by a rename, which the file system does at once or not at all: of two consumers that want the same
//! file one gets it.

mod consume;
mod files;
mod layout;
mod settle;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};

use brighter_core::channel::{Broker, BrokerStatus, Channel, ChannelError, Consumer, Producer, PublishError};
use brighter_core::id::MessageId;
use brighter_core::message::{ChannelName, Message};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, watch};

use layout::Layout;

/// A broker over a directory. Several processes of one machine may open the same directory.
///
/// What a process had in hand when it died is delivered again once another process opens the directory.
#[derive(Debug)]
pub struct DirectoryBroker {
    place: Arc<Place>,
    /// Publishes take turns, so that messages arrive in the order of the calls.
    turn: Arc<Mutex<()>>,
    /// Tells the consumers that the broker is closed.
    closed: watch::Sender<bool>,
    /// Locked for as long as this broker is open.
    owner: SyncMutex<Option<File>>,
}

/// What a broker, its consumers and its deliveries have in common.
#[derive(Debug)]
struct Place {
    layout: Layout,
    /// Who has the messages that this broker takes.
    owner: MessageId,
}

impl DirectoryBroker {
    /// Opens a directory, makes it if it is missing, and gives back what processes had in hand that are gone.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let layout = Layout::new(path.as_ref());
        let owner = MessageId::new();
        let place = Arc::new(Place { layout, owner });
        let opened = Arc::clone(&place);
        let lock = in_background(move || {
            opened.layout.recover()?;
            opened.layout.own(&opened.owner)
        });
        Ok(Self {
            place,
            turn: Arc::default(),
            closed: watch::Sender::new(false),
            owner: SyncMutex::new(Some(lock.await?)),
        })
    }

    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Does something with the files, unless the broker is closed.
    async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Layout) -> Result<T, ChannelError> + Send + 'static,
    ) -> Result<T, ChannelError> {
        if self.is_closed() {
            return Err(ChannelError::Closed);
        }
        let place = Arc::clone(&self.place);
        in_background(move || Ok(work(&place.layout)))
            .await
            .unwrap_or_else(|error| Err(unreachable(error)))
    }
}

impl Producer for DirectoryBroker {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        async move {
            if self.is_closed() {
                return Err(PublishError::Closed);
            }
            message.header.topic.validate()?;
            // It is fair: the future that was polled first is first. It goes with the work, which goes on if this future is
            // dropped.
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let (place, topic) = (Arc::clone(&self.place), message.header.topic.clone());
            let file = files::write(message);
            let published = in_background(move || {
                let _turn = turn;
                let wanting = place.layout.wanting(&topic)?;
                for channel in &wanting {
                    place.layout.put(channel, &file, None)?;
                }
                Ok(!wanting.is_empty())
            });
            match published.await {
                Ok(true) => Ok(()),
                Ok(false) => {
                    let topic = message.header.topic.clone();
                    Err(PublishError::Unroutable { topic })
                }
                Err(error) => Err(PublishError::Other(error.into())),
            }
        }
        .boxed()
    }
}

impl Broker for DirectoryBroker {
    fn system(&self) -> &'static str {
        "directory"
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        async move {
            self.declare(channel).await?;
            Ok(consume::consumer(&self.place, channel, self.closed.subscribe()))
        }
        .boxed()
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        let channel = channel.clone();
        self.with_files(move |layout| layout.declare(&channel)).boxed()
    }

    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        let channel = channel.clone();
        self.with_files(move |layout| layout.remove(&channel)).boxed()
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        let channel = channel.name.clone();
        self.with_files(move |layout| layout.depth(&channel)).boxed()
    }

    fn status(&self) -> BrokerStatus {
        match self.is_closed() {
            true => BrokerStatus::Closed,
            false => BrokerStatus::Connected,
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            self.closed.send_replace(true);
            // Messages that are on their way arrive before the lock goes.
            let _turn = self.turn.lock().await;
            drop(self.owner.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        .boxed()
    }
}

/// A directory that cannot be read now may be read later.
fn unreachable(error: io::Error) -> ChannelError {
    ChannelError::Disconnected(error.into())
}

/// Works with files on a thread that may wait for the disk.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}
