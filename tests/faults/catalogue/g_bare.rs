//! A bare client on every node: what the broker itself needs to come back, whatever a client does.

use std::time::Duration;

use brighter_faults::cluster::LiveCluster;
use brighter_faults::gauge::Gauge;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const STEP: Duration = Duration::from_millis(50);
/// A node that takes longer for anything is left, and asked again.
const PATIENCE: Duration = Duration::from_secs(2);
const PREFETCH: u16 = 10;

/// Publishes to a quorum queue and consumes it through every node at the same time, so that whichever node works
/// brings it on. Dropping it ends it.
pub(crate) struct BareClient {
    pub(crate) confirmed: Gauge,
    pub(crate) delivered: Gauge,
    pub(crate) queue: String,
    _clients: JoinSet<()>,
}

impl BareClient {
    /// Declares the queue, and begins.
    pub(crate) async fn start(cluster: &LiveCluster, queue: String) -> Self {
        let (connection, channel) = open(cluster.nodes()[0].url()).await.unwrap();
        declare(&channel, &queue).await.unwrap();
        let _ = connection.close(200, "done".into()).await;
        let (confirmed, delivered) = (Gauge::default(), Gauge::default());
        let mut clients = JoinSet::new();
        for url in cluster.urls() {
            clients.spawn(publish(url.clone(), queue.clone(), confirmed.clone()));
            clients.spawn(consume(url, queue.clone(), delivered.clone()));
        }
        Self {
            confirmed,
            delivered,
            queue,
            _clients: clients,
        }
    }
}

/// What does not answer in time has failed.
async fn soon<T>(doing: impl Future<Output = lapin::Result<T>>) -> Option<T> {
    timeout(PATIENCE, doing).await.ok()?.ok()
}

async fn open(url: &str) -> Option<(Connection, Channel)> {
    let properties = ConnectionProperties::default().with_connection_name("bare".into());
    let connection = soon(Connection::connect(url, properties)).await?;
    let channel = soon(connection.create_channel()).await?;
    Some((connection, channel))
}

async fn declare(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(queue.into(), options, arguments);
    declared.await.map(drop)
}

async fn publish(url: String, queue: String, confirmed: Gauge) {
    loop {
        if let Some((_connection, channel)) = open(&url).await {
            let _ = publish_on(&channel, &queue, &confirmed).await;
        }
        sleep(STEP).await;
    }
}

/// Goes on until something fails.
async fn publish_on(channel: &Channel, queue: &str, confirmed: &Gauge) -> Option<()> {
    soon(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    loop {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), queue.into(), options, b"bare", properties);
        soon(soon(sent).await?).await?;
        confirmed.mark();
        sleep(STEP).await;
    }
}

async fn consume(url: String, queue: String, delivered: Gauge) {
    loop {
        if let Some((_connection, channel)) = open(&url).await {
            let _ = consume_on(&channel, &queue, &delivered).await;
        }
        sleep(STEP).await;
    }
}

/// Goes on until something fails.
async fn consume_on(channel: &Channel, queue: &str, delivered: &Gauge) -> Option<()> {
    // It may have been deleted.
    soon(declare(channel, queue)).await?;
    soon(channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
    let consuming = channel.basic_consume(
        queue.into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut consumer = soon(consuming).await?;
    loop {
        // One that hears nothing may be cut off: three share the queue, and it is never empty for long.
        let delivery = timeout(PATIENCE, consumer.next()).await.ok()??.ok()?;
        delivered.mark();
        soon(delivery.ack(BasicAckOptions::default())).await?;
    }
}
