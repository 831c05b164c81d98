use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler(batch(max = 100, within = "50ms"))]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: Batch<'_, Greet>) -> Result<(), std::io::Error> {
        Ok(())
    }
}

#[handler]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
