use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: &Greet, _: &Context, times: u32) -> Result<(), std::io::Error> {
        let _ = times;
        Ok(())
    }
}

fn main() {}
