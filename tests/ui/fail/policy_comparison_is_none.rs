use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[use_policy(if 1 < 2 { 1 } else { 2 }, step = 1)]
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
