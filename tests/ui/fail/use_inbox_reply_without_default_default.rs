use brighter::prelude::*;

struct Invoice;

#[derive(Command)]
#[command(reply = Invoice)]
struct Bill;

struct BillHandler;

#[handler]
impl Handler<Bill> for BillHandler {
    #[use_inbox(step = 1)]
    async fn handle(&self, _: &Bill) -> Result<Invoice, std::io::Error> {
        Ok(Invoice)
    }
}

fn main() {}
