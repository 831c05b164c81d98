use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler(std::rc::Rc<()>);

#[handler]
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
