//! [`Consumer`]: delivers the messages of one channel.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::timeout;

use super::{ChannelError, Delivery};

/// The deadline for closing. Transports have shorter deadlines of their own.
const CLOSING: Duration = Duration::from_secs(30);

/// Delivers the messages of one channel. At no time are more deliveries unsettled than the channel's buffer allows.
///
/// As a [`Stream`] it ends with an error when the channel is lost, or with `None` after it was closed.
///
/// Dropping a consumer stops it, and its unsettled messages soon return to the channel. [`close`](Self::close) waits
/// until they have.
pub struct Consumer {
    deliveries: BoxStream<'static, Result<Delivery, ChannelError>>,
    /// Completes when the broker has removed this consumer, after the stream was dropped.
    gone: Option<BoxFuture<'static, ()>>,
}

impl Consumer {
    /// Returns a consumer that delivers the items of the stream. Dropping the stream must end it at once. If the broker
    /// takes longer, pass a future that completes when it is done to [`gone_when`](Self::gone_when).
    pub fn new(stream: impl Stream<Item = Result<Delivery, ChannelError>> + Send + 'static) -> Self {
        Self {
            deliveries: stream.boxed(),
            gone: None,
        }
    }

    /// Sets the future that [`close`](Self::close) awaits after it has dropped the stream. The future completes when
    /// the broker has removed this consumer and has its undelivered messages back.
    #[must_use]
    pub fn gone_when(self, gone: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            gone: Some(gone.boxed()),
            ..self
        }
    }

    /// Wraps the stream of this consumer in another one, for a broker in front of another broker. Closing works as
    /// before.
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

    /// Receives the next delivery. Cancelling this call loses no message.
    ///
    /// # Errors
    /// Returns an error if the channel is lost; consume it again.
    pub async fn receive(&mut self) -> Option<Result<Delivery, ChannelError>> {
        self.deliveries.next().await
    }

    /// Stops consuming, and returns when the broker has removed this consumer. Messages that were taken and not
    /// received are then back in the channel for another consumer. A delivery that was received may still be settled.
    ///
    /// # Errors
    /// Returns [`ChannelError::TimedOut`] if the broker does not answer. Nothing more is received in any case.
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
