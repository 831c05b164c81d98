//! A durable queue of one sample alone, made, filled and deleted with plain lapin.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

use crate::sample::{CONSUMED, Order, PUBLISHED, Sample, Tally, runtime};

/// What AMQP calls persistent.
const PERSISTENT: u8 = 2;
/// How long a peer may take to tell the broker what it has done already.
const SETTLING: Duration = Duration::from_millis(500);
/// How often the broker is asked whether all that was sent without a confirm is there.
const ASKED: u32 = 20;

/// An order as a message that a peer reads.
type Form = fn(Order) -> Result<(BasicProperties, Vec<u8>)>;

pub(crate) struct Queue {
    pub(crate) name: String,
    connection: Connection,
    channel: Channel,
}

pub(crate) fn url() -> Result<String> {
    std::env::var("BRIGHTER_TEST_RABBITMQ_URL").context("BRIGHTER_TEST_RABBITMQ_URL is not set")
}

/// Takes a sample of a consumer, which finds all the orders in its queue, in the form that it reads, and leaves none.
pub(crate) fn consume(
    form: Form,
    beside: &[&str],
    take: impl AsyncFnOnce(&Queue, &Arc<Tally>) -> Result<Sample>,
) -> Result<Sample> {
    runtime()?.block_on(async {
        let queue = Queue::empty().await?;
        let taken = async {
            queue.fill(form).await?;
            let tally = Tally::new();
            let sample = take(&queue, &tally).await?;
            tally.once_each()?;
            Ok(sample)
        };
        let sample = taken.await;
        queue.remove(0, beside, sample).await
    })
}

/// Takes a sample of a publisher, which leaves all its orders in the queue.
pub(crate) fn publish(take: impl AsyncFnOnce(&Queue) -> Result<Sample>) -> Result<Sample> {
    runtime()?.block_on(async {
        let queue = Queue::empty().await?;
        let sample = take(&queue).await;
        queue.remove(PUBLISHED, &[], sample).await
    })
}

impl Queue {
    async fn empty() -> Result<Self> {
        let connection = Connection::connect(&url()?, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let queue = Self {
            name: format!("bench-peer-{}", uuid::Uuid::now_v7()),
            connection,
            channel,
        };
        queue.declare(false).await?;
        Ok(queue)
    }

    async fn fill(&self, form: Form) -> Result<()> {
        stream::iter(0..CONSUMED)
            .map(|number| self.put(form(Order::new(number))))
            .buffered(1000)
            .try_collect::<()>()
            .await?;
        self.holds(CONSUMED).await
    }

    async fn put(&self, message: Result<(BasicProperties, Vec<u8>)>) -> Result<()> {
        let (properties, body) = message?;
        let properties = properties.with_delivery_mode(PERSISTENT);
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let name = self.name.as_str().into();
        let sent = self
            .channel
            .basic_publish("".into(), name, options, &body, properties);
        let confirmation = sent.await?.await?;
        ensure!(
            matches!(confirmation, Confirmation::Ack(None)),
            "not taken: {confirmation:?}"
        );
        Ok(())
    }

    async fn declare(&self, passive: bool) -> Result<u32> {
        let options = QueueDeclareOptions {
            passive,
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let name = self.name.as_str().into();
        let queue = self
            .channel
            .queue_declare(name, options, FieldTable::default())
            .await?;
        Ok(queue.message_count())
    }

    /// An error, unless it comes to hold exactly so many.
    async fn holds(&self, wanted: u32) -> Result<()> {
        let mut held = self.declare(true).await?;
        for _ in 0..ASKED {
            if held == wanted {
                break;
            }
            tokio::time::sleep(SETTLING / 2).await;
            held = self.declare(true).await?;
        }
        ensure!(held == wanted, "{held} messages are in the queue, not {wanted}");
        Ok(())
    }

    /// Waits until a peer has said what it has done.
    pub(crate) async fn settle() {
        tokio::time::sleep(SETTLING).await;
    }

    /// Deletes the queue, and what the peer made beside it under these endings, whatever came of the sample; an error,
    /// unless exactly so many were left in the queue.
    async fn remove(self, wanted: u32, beside: &[&str], sample: Result<Sample>) -> Result<Sample> {
        let held = if sample.is_ok() {
            // What a peer had and did not acknowledge comes back once its connection is closed.
            Self::settle().await;
            self.holds(wanted).await
        } else {
            Ok(())
        };
        for ending in [""].iter().chain(beside) {
            let name = format!("{}{ending}", self.name);
            self.channel
                .queue_delete(name.into(), QueueDeleteOptions::default())
                .await?;
        }
        self.connection.close(200, "done".into()).await?;
        let sample = sample?;
        held?;
        Ok(sample)
    }
}
