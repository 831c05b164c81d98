use brighter::prelude::*;

#[derive(Command)]
struct Other;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: &Other) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
