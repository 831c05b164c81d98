use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[fallback(later, step = 1)]
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

impl GreetHandler {
    async fn later(&self, _: &Greet, _: &HandlerError) -> Result<(), std::io::Error> {
        let rc = std::rc::Rc::new(());
        std::future::ready(()).await;
        drop(rc);
        Ok(())
    }
}

fn main() {}
