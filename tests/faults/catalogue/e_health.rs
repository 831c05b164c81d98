//! Health tells the truth: E03.

use std::time::Duration;

use brighter::channel::{Broker, DeclareMode};
use brighter::prelude::*;
use brighter::processor::{Health, HealthOptions, Unhealthy};
use brighter::{CommandProcessor, Dispatcher, PostgresOutbox};
use brighter_faults::place::Place;
use brighter_faults::postgres::Postgres;
use brighter_faults::wait::until_answer;
use brighter_faults::{capture, node, server};

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "e03")]
struct Checked;

struct Handles;

#[handler]
impl Handler<Checked> for Handles {
    async fn handle(&self, _: &Checked) -> Result<(), std::io::Error> {
        Ok(())
    }
}

/// What is said, without the words.
fn kinds(health: &Health) -> Vec<&'static str> {
    let kind = |reason: &Unhealthy| match reason {
        Unhealthy::NoBroker { .. } => "no broker",
        Unhealthy::NotConsumed { .. } => "not consumed",
        // However it shows first: no answer, an error, or a sweeper that fails.
        Unhealthy::OutboxAway { .. } | Unhealthy::OutboxSilent { .. } | Unhealthy::SweeperFails { .. } => {
            "no outbox"
        }
        _ => "other",
    };
    let mut kinds: Vec<_> = health.reasons.iter().map(kind).collect();
    kinds.dedup();
    kinds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e03_health_follows_broker_queue_and_database_outages() {
    let server = Postgres::start().await;
    let database = server.database().await;
    // Who asks for a connection while there is no server waits for so long.
    let pool = server::pool_that_waits(&server.url(&database), Duration::from_secs(1)).await;
    let node = node::to_harm().await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    let queue = place.queue("e03");
    let channel = place.channel("e03", "e03");
    drop(broker.consume(&channel).await.unwrap());
    let processor = CommandProcessor::builder()
        .handler(Handles)
        .broker(broker.clone())
        .outbox(PostgresOutbox::from_pool(pool).await.unwrap())
        .health(HealthOptions::default().check_interval(Duration::ZERO))
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        // It makes no queue, so that one that is deleted stays away.
        .subscription(Subscription::<Checked>::new(queue.as_str()).declare_channel(DeclareMode::Validate))
        .build()
        .unwrap();
    let is_ready = async || dispatcher.health().await.is_ready();
    assert_eq!(
        kinds(&dispatcher.health().await),
        ["not consumed"],
        "nothing was started"
    );
    dispatcher.receive();
    until_answer("ready", true, is_ready).await;

    // The broker goes: both say so, and stay so while it is away.
    node.stop().await;
    let gone = vec!["no broker", "not consumed"];
    until_answer("what is said", gone.clone(), async || {
        kinds(&dispatcher.health().await)
    })
    .await;
    until_answer("what the processor says", vec!["no broker"], async || {
        kinds(&processor.health().await)
    })
    .await;
    node.start_again().await;
    until_answer("ready", true, is_ready).await;

    // The queue goes, and the broker stays.
    node.delete_queue(&queue).await;
    until_answer("what is said", vec!["not consumed"], async || {
        kinds(&dispatcher.health().await)
    })
    .await;
    assert!(
        processor.health().await.is_ready(),
        "the processor does not consume"
    );
    drop(broker.consume(&channel).await.unwrap());
    until_answer("ready", true, is_ready).await;

    // The database goes, and both are there: what is consumed stays consumed.
    server.stop().await;
    until_answer("what is said", vec!["no outbox"], async || {
        kinds(&dispatcher.health().await)
    })
    .await;
    server.start_again().await;
    until_answer("ready", true, is_ready).await;
    dispatcher.end().await;
    broker.close().await;
    capture::assert_no_password();
}
