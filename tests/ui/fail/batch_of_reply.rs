use brighter::prelude::*;

#[derive(Command)]
#[command(reply = u32)]
struct Count;

struct CountHandler;

#[handler(batch(max = 100, within = "50ms"))]
impl Handler<Count> for CountHandler {
    async fn handle(&self, _: Batch<'_, Count>) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
