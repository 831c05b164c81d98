//! [`Consumer`]: gives out the messages of one channel.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::timeout;

use super::{ChannelError, Delivery};

/// Closing takes this long at most. Transports have shorter deadlines of their own.
const CLOSING: Duration = Duration::from_secs(30);

/// Gives out the messages of one channel, never more than the channel's buffer at once unsettled.
///
/// As a [`Stream`] it ends with an error when the channel is lost, or with `None` when it was closed.
///
/// Dropped, it stops, and what it had taken goes back to the channel soon. [`close`](Self::close) waits until that is
/// done.
pub struct Consumer {
    deliveries: BoxStream<'static, Result<Delivery, ChannelError>>,
    /// Ends when the broker no longer has this consumer, once the stream was dropped.
    gone: Option<BoxFuture<'static, ()>>,
}

impl Consumer {
    /// Returns a consumer that gives out what the stream gives. Dropping the stream ends it, at once: if the broker
    /// takes longer, say when it is done by [`gone_when`](Self::gone_when).
    pub fn new(stream: impl Stream<Item = Result<Delivery, ChannelError>> + Send + 'static) -> Self {
        Self {
            deliveries: stream.boxed(),
            gone: None,
        }
    }

    /// Sets what [`close`](Self::close) waits for after it has dropped the stream: that the broker no longer has this
    /// consumer, and has back what was taken and not seen.
    #[must_use]
    pub fn gone_when(self, gone: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            gone: Some(gone.boxed()),
            ..self
        }
    }

    /// Puts another stream around that of this consumer, for a broker in front of another one. It closes as before.
    #[must_use]
    pub fn around<S>(self, wrap: impl FnOnce(Self) -> S) -> Self
    where
        S: Stream<Item = Result<Delivery, ChannelError>> + Send + 'static,
    {
        let Self { deliveries, gone } = self;
        let inner = Self {
            deliveries,
            gone: None,
        };
        Self {
            deliveries: wrap(inner).boxed(),
            gone,
        }
    }

    /// Receives the next delivery. Cancelling loses nothing.
    ///
    /// # Errors
    /// The channel is lost; consume it again.
    pub async fn receive(&mut self) -> Option<Result<Delivery, ChannelError>> {
        self.deliveries.next().await
    }

    /// Stops consuming, and returns when the broker no longer has this consumer: what was taken and not received is
    /// back in the channel, and another consumer gets it. A delivery that was received may still be settled.
    ///
    /// # Errors
    /// [`ChannelError::TimedOut`], if the broker does not answer. Nothing more is received in any case.
    pub async fn close(self) -> Result<(), ChannelError> {
        let Self { deliveries, gone } = self;
        drop(deliveries);
        let Some(gone) = gone else {
            return Ok(());
        };
        let gone = timeout(CLOSING, gone).await;
        gone.map_err(|_| ChannelError::TimedOut { after: CLOSING })
    }
}

impl Stream for Consumer {
    type Item = Result<Delivery, ChannelError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.deliveries.poll_next_unpin(task)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consumer")
    }
}
