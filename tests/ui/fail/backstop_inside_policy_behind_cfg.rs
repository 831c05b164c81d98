use brighter::prelude::*;

#[derive(Command)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[cfg_attr(any(), timeout("1s", step = 1))]
    #[cfg_attr(all(), timeout("1s", step = 2))]
    #[cfg_attr(all(), use_policy(retry, step = 3))]
    #[reject_on_error(step = 4)]
    async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
