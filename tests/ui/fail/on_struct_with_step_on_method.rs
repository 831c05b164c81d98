use brighter::prelude::*;

#[derive(Command)]
struct Greet;

#[handler(Greet)]
#[request_logging(step = 1)]
struct GreetHandler;

#[handler(on_struct)]
impl Handler<Greet> for GreetHandler {
    #[use_policy(retry, step = 2)]
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
