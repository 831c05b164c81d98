use platform::brighter::prelude::*;

#[derive(Command)]
#[command(crate = platform::brighter)]
struct Greet;

#[handler(Greet)]
#[use_policy(retry, step = 1)]
struct GreetHandler;

#[handler(on_struct, crate = platform::brighter)]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
