use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[use_policy(retry, step = 1)]
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        let shared = std::rc::Rc::new(());
        std::future::ready(()).await;
        drop(shared);
        Ok(())
    }
}

fn main() {}
