//! A cascade is settled when all of it is, and not before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brighter::prelude::*;
use brighter::testing::{PublishFault, RandomFaults, SettleFault, TestApp, TestAppBuilder};
use tokio::sync::Notify;

/// Each is handled by posting two of the generation before, down to none.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Grow")]
struct Grow {
    generations: u32,
    waits: bool,
}

#[derive(Clone, Default)]
struct Grown {
    handled: Arc<AtomicU32>,
    go_on: Arc<Notify>,
}

struct Grows(Grown);

#[handler]
impl Handler<Grow> for Grows {
    async fn handle(&self, grow: &Grow, cx: &Context) -> Result<(), BoxError> {
        if grow.waits {
            self.0.go_on.notified().await;
        }
        for _ in 0..2 * grow.generations.min(1) {
            let next = Grow {
                generations: grow.generations - 1,
                waits: false,
            };
            cx.post(next).await?;
        }
        self.0.handled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn growing(grown: &Grown) -> TestAppBuilder {
    let grown = grown.clone();
    TestApp::builder()
        .processor(|it| it.handler(Grows(grown)))
        .dispatcher(|it| it.subscription(Subscription::<Grow>::new("growing").performers(4).attempts(50)))
}

fn grow(generations: u32) -> Grow {
    Grow {
        generations,
        waits: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_generations_are_handled_when_it_has_settled() {
    let grown = Grown::default();
    let app = growing(&grown).start().await;
    for round in 1..=20 {
        app.when_posted(grow(5)).await;
        assert_eq!(grown.handled.load(Ordering::Relaxed), round * 63);
    }
    app.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_cascade_is_waited_for_whatever_else_is_under_way() {
    let grown = Grown::default();
    let app = growing(&grown).start().await;
    let waits = Grow {
        generations: 0,
        waits: true,
    };
    let stuck = app.processor().post(waits).await.unwrap();
    let id = app.processor().post(grow(3)).await.unwrap();
    app.cascade_settled(&id).await;
    app.then().handled::<Grow>(15);
    let rest = app.cascade_settled(&stuck);
    assert!(tokio::time::timeout(Duration::from_secs(60), rest).await.is_err());
    grown.go_on.notify_one();
    app.settled().await;
    app.then().handled::<Grow>(16);
}

#[tokio::test(start_paused = true)]
async fn random_faults_and_lost_connections_lose_nothing() {
    for seed in 0..10 {
        let grown = Grown::default();
        let app = growing(&grown).start().await;
        let faults = RandomFaults::seeded(seed)
            .publish(PublishFault::Away, 0.1)
            .publish(PublishFault::ConfirmLost, 0.1)
            .publish(PublishFault::Duplicate, 0.1)
            .publish(PublishFault::Delay(Duration::from_millis(50)), 0.1)
            .publish(PublishFault::Reorder, 0.1)
            .settle(SettleFault::Fails, 0.1);
        app.broker().at_random(Some(faults));
        let id = app.processor().post(grow(4)).await.unwrap();
        app.when_time_passes(Duration::from_millis(120)).await;
        app.broker().lose_connection();
        app.when_time_passes(Duration::from_secs(7)).await;
        app.broker().restore_connection();
        app.cascade_settled(&id).await;
        app.settled().await;
        let handled = grown.handled.load(Ordering::Relaxed);
        assert!(handled >= 31, "seed {seed}: {handled}\n{}", app.timeline());
        assert!(app.broker().inner().messages("growing.dlq").is_empty());
    }
}
