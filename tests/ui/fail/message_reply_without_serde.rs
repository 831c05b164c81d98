use brighter::prelude::*;

struct Invoice;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Invoice.Make", reply = Invoice)]
struct MakeInvoice;

fn main() {}
