use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: Batch<'_, Greet>) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
