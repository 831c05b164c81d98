use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[cfg(any())]
    async fn handle(&self) -> Result<(), std::io::Error> {
        Ok(())
    }

    #[cfg(all())]
    async fn handle(self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
