//! A process that the tests of the host start, talk to and send signals to.
//!
//! It reads `Errand`s and says what happens on its standard output, a line each: `receiving`, `begun <id>`, `done <id>`,
//! `cancelled`. A line with a number on its standard input allows so many errands to be finished.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use brighter::prelude::*;
use brighter::transport::rabbitmq::ExchangeKind;
use brighter_tests::errand::Errand;
use tokio::sync::Semaphore;

struct Runner {
    allowed: Arc<Semaphore>,
}

#[handler]
impl Handler<Errand> for Runner {
    async fn handle(&self, errand: &Errand, cx: &Context) -> Result<(), BoxError> {
        println!("begun {}", errand.id);
        if errand.blocks {
            std::thread::park();
        }
        let allowed = tokio::select! {
            biased;
            allowed = self.allowed.acquire() => allowed,
            () = cx.cancelled() => {
                println!("cancelled");
                self.allowed.acquire().await
            }
        };
        allowed?.forget();
        println!("done {}", errand.id);
        Ok(())
    }
}

fn setting(name: &str) -> Option<String> {
    std::env::var(format!("CHILD_{name}")).ok()
}

fn number(name: &str) -> Option<u64> {
    setting(name).map(|value| value.parse().unwrap())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> host::Exit {
    let allowed = Arc::new(Semaphore::new(0));
    let runner = Runner {
        allowed: Arc::clone(&allowed),
    };
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            allowed.add_permits(line.unwrap().parse().unwrap());
        }
    });
    let builder = CommandProcessor::builder().handler(runner);
    let processor = match setting("EXCHANGE") {
        Some(exchange) => {
            let broker = RabbitMq::builder(&brighter_tests::rabbitmq::url())
                .exchange(exchange, ExchangeKind::Topic)
                .connect()
                .await
                .unwrap();
            builder.broker(broker).build()
        }
        None => builder
            .broker(InMemoryBroker::new())
            .outbox(InMemoryOutbox::new())
            .build(),
    };
    let processor = processor.unwrap();
    let queue = setting("QUEUE").unwrap_or_else(|| "errands".to_owned());
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(
            Subscription::<Errand>::new(queue)
                .performers(usize::try_from(number("PERFORMERS").unwrap_or(1)).unwrap())
                .buffer(1),
        )
        .drain_timeout(Duration::from_secs(number("DRAIN").unwrap_or(60)))
        .build()
        .unwrap();
    let watched = dispatcher.clone();
    tokio::spawn(async move {
        watched.wait_until_consuming().await;
        println!("receiving");
        for _ in 0..number("POST").unwrap_or(0) {
            let errand = Errand {
                id: MessageId::new(),
                blocks: setting("BLOCKS").is_some(),
            };
            processor.post(errand).await.unwrap();
        }
    });
    let ended = host::run(dispatcher).await;
    if let Err(error) = &ended {
        println!("{error}");
    }
    ended.into()
}
