#[path = "../support/tx.rs"]
#[allow(dead_code)]
mod tx;

use brighter::prelude::*;
use tx::Tx;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[transactional(step = 1)]
    async fn handle(&self, _: &Greet, _: &Context, _: &mut Tx<'_>) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
