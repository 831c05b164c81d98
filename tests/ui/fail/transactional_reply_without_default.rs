#[path = "../support/tx.rs"]
#[allow(dead_code)]
mod tx;

use brighter::prelude::*;
use tx::Tx;

#[derive(Command)]
#[command(reply = Invoice)]
struct Greet;

#[allow(dead_code)]
struct Invoice {
    cents: i64,
}

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[transactional(step = 1)]
    async fn handle(&self, _: &Greet, _: &mut Tx<'_>) -> Result<Invoice, std::io::Error> {
        Ok(Invoice { cents: 1 })
    }
}

fn main() {}
