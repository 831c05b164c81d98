use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler(crate = queue)]
impl Handler<Greet> for GreetHandler {
    #[use_policy(retry, step = 1)]
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
