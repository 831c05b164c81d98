use brighter::prelude::*;

struct Invoice;

#[derive(Command)]
#[command(reply = Invoice)]
struct Bill;

struct BillHandler;

#[handler]
impl Handler<Bill> for BillHandler {
    async fn handle(&self, _: &Bill) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
