use queue::prelude::*;

#[derive(Command)]
#[command(crate = queue)]
struct Greet;

#[handler(Greet)]
#[use_policy(retry, step = 1)]
struct GreetHandler;

#[handler(on_struct, crate = queue)]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
