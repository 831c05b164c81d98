use brighter::prelude::*;

#[derive(Command)]
struct Greet;

#[handler(Greet, batch(max = 100, within = "50ms"))]
struct GreetHandler;

#[handler(on_struct)]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
