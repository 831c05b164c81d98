use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler(onstruct)]
impl Handler<Greet> for GreetHandler {
    type Error = std::io::Error;

    async fn handle(&self, _: &Greet, _: &Context) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
