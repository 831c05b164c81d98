use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: &Greet) -> Option<()> {
        None
    }
}

fn main() {}
