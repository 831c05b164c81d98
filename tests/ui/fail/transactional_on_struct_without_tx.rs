#[path = "../support/tx.rs"]
#[allow(dead_code)]
mod tx;

use brighter::prelude::*;

#[derive(Command)]
struct Greet;

#[handler(Greet)]
#[transactional(step = 1)]
struct GreetHandler;

#[handler(on_struct)]
impl Handler<Greet> for GreetHandler {
    
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
