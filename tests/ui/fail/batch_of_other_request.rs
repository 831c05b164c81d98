use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[derive(Command)]
struct Other;

#[handler(batch(max = 100, within = "50ms"))]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: Batch<'_, Other>) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
