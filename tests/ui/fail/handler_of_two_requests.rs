use brighter::prelude::*;

#[derive(Command)]
struct Order;

#[derive(Command)]
struct Refund;

struct Till;

#[handler]
impl Handler<Order> for Till {
    async fn handle(&self, _: &Order) -> Result<(), std::io::Error> {
        Ok(())
    }
}

#[handler]
impl Handler<Refund> for Till {
    async fn handle(&self, _: &Refund) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {
    let _ = CommandProcessor::builder().handler(Till).build();
}
