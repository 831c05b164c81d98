//! Consuming through outages: [`SteadyConsumer`], and [`ConsumeAttempts`] for a loop of your own.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Broker, Channel, ChannelError, Consumer, Delivery};
use crate::error::ErrorReport as _;

/// The pause before the next attempt: doubled from the first up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause while the broker refuses: only a person can change that.
const LONGEST_PAUSE_REFUSED: Duration = Duration::from_secs(30);
/// The time that a broker may take to give a consumer. Transports have shorter deadlines of their own; this one is for
/// a transport that has none.
const CONSUME_TIMEOUT: Duration = Duration::from_secs(60);

/// Begins to consume, and tells how long to wait before the next attempt. A loop that consumes again after each loss
/// needs this; the dispatcher's performers use it.
///
/// [`SteadyConsumer`] is the whole loop.
///
/// ```no_run
/// use brighter::channel::{Broker, Channel, ChannelError, ConsumeAttempts};
///
/// # async fn consume(broker: &dyn Broker, channel: &Channel) {
/// let mut attempts = ConsumeAttempts::new();
/// loop {
///     let lost = match attempts.consume(broker, channel).await {
///         Ok(mut consumer) => loop {
///             match consumer.receive().await {
///                 Some(Ok(delivery)) => drop(delivery.ack().await),
///                 Some(Err(error)) => break error,
///                 None => return,
///             }
///         },
///         Err(error) => error,
///     };
///     tokio::time::sleep(attempts.pause(&lost)).await;
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ConsumeAttempts {
    pause: Duration,
}

impl Default for ConsumeAttempts {
    fn default() -> Self {
        Self::new()
    }
}

impl ConsumeAttempts {
    /// Returns attempts without a failure so far.
    #[must_use]
    pub fn new() -> Self {
        Self { pause: FIRST_PAUSE }
    }

    /// Begins to consume, and fails after 60 s if the broker has not answered. A success resets the pause to its
    /// shortest.
    ///
    /// # Errors
    /// See [`ChannelError`]: wait for a [`pause`](Self::pause), and try again.
    pub async fn consume<B>(&mut self, broker: &B, channel: &Channel) -> Result<Consumer, ChannelError>
    where
        B: Broker + ?Sized,
    {
        let mut consuming = pin!(broker.consume(channel));
        // A consumer that is ready at once needs no timer.
        let consumer = match poll!(&mut consuming) {
            Poll::Ready(consumer) => consumer?,
            Poll::Pending => match timeout(CONSUME_TIMEOUT, consuming).await {
                Ok(consumer) => consumer?,
                Err(_) => {
                    let after = CONSUME_TIMEOUT;
                    return Err(ChannelError::TimedOut { after });
                }
            },
        };
        self.pause = FIRST_PAUSE;
        Ok(consumer)
    }

    /// Returns how long to wait after this error: 100 ms at first, doubled with each error up to 2 s, or up to 30 s
    /// while the broker refuses.
    pub fn pause(&mut self, error: &ChannelError) -> Duration {
        let longest = match error {
            ChannelError::Refused { .. } | ChannelError::Name(_) | ChannelError::Unsupported(_) => {
                LONGEST_PAUSE_REFUSED
            }
            _ => LONGEST_PAUSE,
        };
        let pause = self.pause;
        self.pause = (pause * 2).min(longest);
        pause
    }

    /// Returns whether an attempt has failed since the last success.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.pause > FIRST_PAUSE
    }
}

/// Consumes a channel for as long as its broker is open. If the channel is lost or not yet available, it waits and
/// consumes again. Each loss is one warning in the log.
///
/// Use it in a program that reads a channel without a dispatcher. A dispatcher does the same for its subscriptions.
///
/// ```
/// use std::sync::Arc;
/// use brighter::InMemoryBroker;
/// use brighter::channel::{Broker, Channel, SteadyConsumer};
///
/// # brighter::testing::run(async {
/// let broker = Arc::new(InMemoryBroker::new());
/// let mut audit = SteadyConsumer::new(Arc::clone(&broker), Channel::new("audit", "#"));
/// # broker.close().await;
/// while let Some(delivery) = audit.receive().await {
///     println!("{:?}", delivery.message());
///     delivery.ack().await?;
/// }
/// # Ok::<(), brighter::BoxError>(())
/// # }).unwrap();
/// ```
pub struct SteadyConsumer<B: ?Sized> {
    broker: Arc<B>,
    channel: Channel,
    attempts: ConsumeAttempts,
    consumer: Option<Consumer>,
    /// The time of the next attempt.
    next: Option<Instant>,
}

impl<B: Broker + ?Sized> SteadyConsumer<B> {
    /// Returns a consumer of this channel, which begins with the first call of [`receive`](Self::receive).
    #[must_use]
    pub fn new(broker: Arc<B>, channel: Channel) -> Self {
        Self {
            broker,
            channel,
            attempts: ConsumeAttempts::new(),
            consumer: None,
            next: None,
        }
    }

    /// Receives the next delivery, and consumes again as often as the channel is lost. Returns `None` once this process
    /// has closed the broker. Cancelling this call loses no message.
    pub async fn receive(&mut self) -> Option<Delivery> {
        loop {
            if let Some(next) = self.next {
                sleep_until(next).await;
                self.next = None;
            }
            let error = match &mut self.consumer {
                Some(consumer) => match consumer.receive().await {
                    Some(Ok(delivery)) => return Some(delivery),
                    Some(Err(error)) => error,
                    None => ChannelError::Lost {
                        reason: "the consumer ended".to_owned(),
                    },
                },
                None => match self.attempts.consume(&*self.broker, &self.channel).await {
                    Ok(consumer) => {
                        self.consumer = Some(consumer);
                        continue;
                    }
                    Err(ChannelError::Closed) => return None,
                    Err(error) => error,
                },
            };
            self.consumer = None;
            let pause = self.attempts.pause(&error);
            tracing::warn!(channel = %self.channel.name, error = error.report(), ?pause, "consuming failed; trying again");
            self.next = Some(Instant::now() + pause);
        }
    }

    /// Stops consuming, as [`Consumer::close`] does.
    ///
    /// # Errors
    /// See [`Consumer::close`].
    pub async fn close(self) -> Result<(), ChannelError> {
        match self.consumer {
            Some(consumer) => consumer.close().await,
            None => Ok(()),
        }
    }
}

impl<B: ?Sized> fmt::Debug for SteadyConsumer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SteadyConsumer")
            .field("channel", &self.channel.name)
            .finish_non_exhaustive()
    }
}
