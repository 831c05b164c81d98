use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[fallback(later, step = 1)]
    #[dont_ack_on_error(step = 2)]
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

impl GreetHandler {
    async fn later(&self, _: &Greet, _: &HandlerError) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
