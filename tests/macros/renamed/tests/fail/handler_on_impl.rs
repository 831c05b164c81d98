use queue::prelude::*;

#[derive(Command)]
#[command(crate = queue)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[use_policy(retry, step = 1)]
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
