use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler(batch(max = 100, within = "50ms"))]
impl Handler<Greet> for GreetHandler {
    #[timeout("5s", step = 1)]
    #[timeout("1s", step = 2)]
    async fn handle(&self, _: Batch<'_, Greet>) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
