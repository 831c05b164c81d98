use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

impl Handler<Greet> for GreetHandler {
    type Error = std::io::Error;

    async fn handle(&self, _: &Greet, _: &Context) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn register<R: Request>(_: impl brighter::pipeline::HandlerPipeline<R>) {}

fn main() {
    register::<Greet>(GreetHandler);
}
