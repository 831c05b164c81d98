#[path = "../support/tx.rs"]
#[allow(dead_code)]
mod tx;

use brighter::prelude::*;
use tx::Tx;

#[derive(Command)]
struct Greet;

struct GreetHandler;


impl Handler<Greet> for GreetHandler {
    #[transactional(step = 1)]
    async fn handle(&self, _: &Greet, tx: &mut Tx<'_>) -> Result<(), std::io::Error> {
        let _ = tx;
        Ok(())
    }
}

fn main() {}
