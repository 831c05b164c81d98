use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[cfg_attr(all(), use_policy(retry, stp = 1))]
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
