use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[cfg_attr(any(), monitor(step = 1))]
    #[cfg_attr(all(), timeout("1s", step = 1))]
    #[cfg_attr(all(), cfg_attr(all(), use_policy(retry, step = 1)))]
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
