use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, greet: &Greet) {
        let _ = greet;
    }
}

fn main() {}
