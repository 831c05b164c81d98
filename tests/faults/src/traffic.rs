//! Messages that go and come while harm is done, every one noted in the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brighter::channel::{Broker, Channel, ChannelError, Consumer, Delivery, Producer, PublishError};
use brighter::{Message, MessageId};
use tokio::time::{sleep, timeout};

use crate::ledger::{Entry, Ledger};
use crate::place::message;
use crate::wait::{deadline, in_time};

/// Publishes messages until the broker has confirmed each, and counts what went wrong on the way.
#[derive(Clone)]
pub struct Traffic<B> {
    broker: B,
    ledger: Ledger,
    /// No call may take longer: I7 of the catalogue.
    deadline: Duration,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    confirmed: AtomicUsize,
    failed: AtomicUsize,
}

/// How long publishing may take beyond the deadline that the broker was given: this machine may be busy.
const SLACK: Duration = Duration::from_secs(20);

impl<B: Producer + Clone> Traffic<B> {
    /// Traffic to this broker, which gives up a publish after `confirm_timeout`.
    pub fn new(broker: B, ledger: &Ledger, confirm_timeout: Duration) -> Self {
        Self {
            broker,
            ledger: ledger.clone(),
            deadline: confirm_timeout + SLACK,
            counts: Arc::default(),
        }
    }

    /// How many messages were confirmed.
    #[must_use]
    pub fn confirmed(&self) -> usize {
        self.counts.confirmed.load(Ordering::SeqCst)
    }

    /// How many calls failed, each with a typed error after which the message was published again.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.counts.failed.load(Ordering::SeqCst)
    }

    /// Publishes a new message to this topic.
    pub async fn one(&self, topic: &str) -> String {
        let id = MessageId::new().to_string();
        self.publish(&message(topic, &id)).await;
        id
    }

    /// Publishes this message, again with the same id for as long as it may not have arrived.
    ///
    /// # Panics
    /// A call takes longer than its deadline, fails for good, or all of them together take forever.
    pub async fn publish(&self, message: &Message) {
        let id = message.header.id.to_string();
        self.ledger.write(Entry::Attempted, &id);
        let begun = Instant::now();
        loop {
            let call = timeout(self.deadline, self.broker.publish(message)).await;
            match call.unwrap_or_else(|_| panic!("publishing hangs past its deadline")) {
                Ok(()) => {
                    self.ledger.write(Entry::Acknowledged, &id);
                    self.counts.confirmed.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                // A channel that the broker closes takes others' messages with it: `Refused`, and right again later.
                Err(error) if error.is_outage() || matches!(error, PublishError::Refused { .. }) => {
                    self.counts.failed.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => panic!("{error:?}"),
            }
            assert!(begun.elapsed() < 2 * deadline(), "{id} was never confirmed");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// So many publishers at once, each with so many messages to this topic.
    ///
    /// # Panics
    /// One of them does.
    pub async fn many(&self, publishers: usize, messages: usize, topic: &'static str)
    where
        B: 'static,
    {
        let publishing: Vec<_> = (0..publishers)
            .map(|_| {
                let traffic = self.clone();
                tokio::spawn(async move {
                    for _ in 0..messages {
                        traffic.one(topic).await;
                    }
                })
            })
            .collect();
        for publisher in publishing {
            publisher.await.expect("no publisher panics");
        }
    }
}

/// Consumes the channel, as soon as that can be done: as a dispatcher does, but sooner.
///
/// # Panics
/// It cannot, forever or for good.
pub async fn consume(broker: &impl Broker, channel: &Channel) -> Consumer {
    in_time("a consumer", async {
        loop {
            match broker.consume(channel).await {
                Ok(consumer) => return consumer,
                Err(
                    ChannelError::Disconnected(_)
                    | ChannelError::Lost { .. }
                    | ChannelError::Unavailable { .. },
                ) => {
                    sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    })
    .await
}

/// The next delivery.
///
/// # Panics
/// None comes, or the channel is lost.
pub async fn next(consumer: &mut Consumer) -> Delivery {
    in_time("a delivery", consumer.receive())
        .await
        .expect("the consumer is not closed")
        .expect("the channel is not lost")
}

/// The id of the message of a delivery.
///
/// # Panics
/// It has none.
#[must_use]
pub fn id(delivery: &Delivery) -> String {
    delivery.message().expect("a message").header.id.to_string()
}

/// Consumes the channel until so many different messages have been handled and acked, through every loss.
///
/// # Panics
/// That does not happen.
pub async fn handle_all(broker: &impl Broker, channel: &Channel, ledger: &Ledger, messages: usize) {
    let mut seen = std::collections::HashSet::new();
    'again: loop {
        let mut consumer = consume(broker, channel).await;
        while seen.len() < messages {
            let Some(Ok(delivery)) = in_time("a delivery", consumer.receive()).await else {
                continue 'again;
            };
            let id = id(&delivery);
            ledger.write(Entry::Handled, &id);
            seen.insert(id);
            // One that is stale comes again.
            let _ = delivery.ack().await;
        }
        return;
    }
}
