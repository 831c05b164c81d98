#[path = "../support/tx.rs"]
#[allow(dead_code)]
mod tx;

use brighter::prelude::*;
use tx::Tx;

#[derive(Command)]
struct Greet;

#[handler(Greet)]
#[request_logging(step = 1)]
struct GreetHandler;

#[handler(on_struct)]
impl Handler<Greet> for GreetHandler {
    
    async fn handle(&self, _: &Greet, _: &mut Tx<'_>) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
