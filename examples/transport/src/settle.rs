//! Settling: the copy of a message is on the disk before the message itself goes.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use brighter_core::channel::{Channel, PublishError, Rejection, RejectionKind, Settle, SettleError};
use brighter_core::message::{ChannelName, Message, RoutingKey};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;

use crate::layout::{found, give_back};
use crate::{Place, files, in_background};

/// A message that a consumer has in hand. Dropped before it is settled, it goes back.
#[derive(Debug)]
pub(crate) struct TakenMessage {
    place: Arc<Place>,
    channel: Arc<Channel>,
    file: PathBuf,
    settled: bool,
    /// Its place in the buffer of its consumer.
    _room: Option<OwnedSemaphorePermit>,
}

impl TakenMessage {
    pub(crate) fn new(place: Arc<Place>, channel: Arc<Channel>, file: PathBuf) -> Self {
        Self {
            place,
            channel,
            file,
            settled: false,
            _room: None,
        }
    }

    pub(crate) fn with_room(mut self, room: OwnedSemaphorePermit) -> Self {
        self._room = Some(room);
        self
    }

    /// The message is done with.
    fn done(&mut self) -> Result<(), SettleError> {
        self.settled = true;
        match found(fs::remove_file(&self.file)) {
            Ok(Some(())) => Ok(()),
            // Another process took this one for dead, or the channel was removed.
            Ok(None) => Err(SettleError::Stale),
            Err(error) => {
                self.settled = false;
                Err(other(error))
            }
        }
    }

    /// Puts a copy into a channel, and then the message is done with.
    fn copy_to(
        &mut self,
        channel: &ChannelName,
        copy: &[u8],
        delay: Option<Duration>,
    ) -> Result<(), SettleError> {
        if !self.file.exists() {
            self.settled = true;
            return Err(SettleError::Stale);
        }
        let to = self.place.layout.channel(channel);
        match found(self.place.layout.put(&to, copy, delay)) {
            Ok(Some(())) => self.done(),
            Ok(None) => {
                let topic = RoutingKey::from(channel.as_str());
                Err(PublishError::Unroutable { topic }.into())
            }
            Err(error) => Err(other(error)),
        }
    }

    fn reject(&mut self, rejection: &Rejection) -> Result<(), SettleError> {
        let channel = Arc::clone(&self.channel);
        let to = match rejection.kind {
            RejectionKind::Invalid => &channel.invalid_messages,
            _ => &channel.dead_letters,
        };
        let Some(original) = found(fs::read(&self.file)).map_err(other)? else {
            self.settled = true;
            return Err(SettleError::Stale);
        };
        let copy = match files::read(&original) {
            Ok(mut message) => {
                rejection.annotate(&mut message.header);
                files::write(&message)
            }
            // What made no sense has no header for the reason.
            Err(_) => original,
        };
        self.copy_to(to, &copy, None)
    }
}

impl Drop for TakenMessage {
    fn drop(&mut self) {
        if !self.settled {
            // If it cannot be moved now, it goes back when this process is gone.
            let _ = give_back(&self.file, &self.place.layout.channel(&self.channel.name));
        }
    }
}

impl Settle for TakenMessage {
    fn ack(mut self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        settling(move || self.done())
    }

    fn requeue(
        mut self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        settling(move || {
            let channel = self.channel.name.clone();
            let delay = Some(delay).filter(|delay| !delay.is_zero());
            self.copy_to(&channel, &files::write(&message), delay)
        })
    }

    fn reject(mut self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
        settling(move || TakenMessage::reject(&mut self, &rejection))
    }

    fn move_to(
        mut self: Box<Self>,
        channel: ChannelName,
        message: Message,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        settling(move || self.copy_to(&channel, &files::write(&message), None))
    }

    /// Dropping it gives it back.
    fn release(self: Box<Self>) {}
}

/// Nothing happens before the future is polled; dropped before that, the message goes back.
fn settling(
    settle: impl FnOnce() -> Result<(), SettleError> + Send + 'static,
) -> BoxFuture<'static, Result<(), SettleError>> {
    async move {
        let settled = in_background(move || Ok(settle())).await;
        settled.unwrap_or_else(|error| Err(other(error)))
    }
    .boxed()
}

fn other(error: io::Error) -> SettleError {
    SettleError::Other(error.into())
}
