//! A handler of several requests is added once for each.
#![deny(warnings)]

use std::io::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use brighter::prelude::*;

#[derive(Command)]
struct Order(u32);

#[derive(Command)]
#[command(reply = u32)]
struct Sum;

#[derive(Default)]
struct Till(AtomicU32);

#[handler]
impl Handler<Order> for Till {
    #[use_policy(retry, step = 1)]
    async fn handle(&self, order: &Order) -> Result<(), Error> {
        self.0.fetch_add(order.0, Ordering::Relaxed);
        Ok(())
    }
}

#[handler]
impl Handler<Sum> for Till {
    async fn handle(&self, _: &Sum) -> Result<u32, Error> {
        Ok(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let till = Arc::new(Till::default());
    let processor = CommandProcessor::builder()
        .handler::<Order>(till.clone())
        .handler::<Sum>(till)
        .build()
        .unwrap();
    processor.send(Order(3)).await.unwrap();
    processor.send(Order(4)).await.unwrap();
    assert_eq!(processor.send(Sum).await.unwrap(), 7);
}
