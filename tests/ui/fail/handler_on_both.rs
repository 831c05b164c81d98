use brighter::prelude::*;

#[derive(Command)]
struct Greet;

#[handler(Greet)]
#[request_logging(step = 1)]
struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    type Error = std::io::Error;

    async fn handle(&self, _: &Greet, _: &Context) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
