//! What doing nothing costs.

use std::time::Duration;

use anyhow::Result;
use brighter::prelude::*;
use brighter::{CommandProcessor, Dispatcher};

use super::pump::{Order, runtime};
use crate::measure::{Sample, Stopwatch};

const SUBSCRIPTIONS: usize = 1_000;
const STRETCH: Duration = Duration::from_secs(3);

struct Ignores;

#[handler]
impl Handler<Order> for Ignores {
    async fn handle(&self, _: &Order) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
}

pub(crate) fn subscriptions() -> Result<Sample> {
    runtime()?.block_on(async {
        let processor = CommandProcessor::builder()
            .handler(Ignores)
            .broker(InMemoryBroker::new())
            .build()?;
        let mut builder = Dispatcher::builder(processor);
        for number in 0..SUBSCRIPTIONS {
            let name = format!("idle-{number}");
            builder = builder.subscription(Subscription::<Order>::new(name));
        }
        let dispatcher = builder.build()?;
        dispatcher.receive();
        dispatcher.wait_until_consuming().await;
        let watch = Stopwatch::start()?;
        tokio::time::sleep(STRETCH).await;
        let sample = watch.busy();
        dispatcher.end().await;
        sample
    })
}
