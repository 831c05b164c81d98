use brighter::prelude::*;

struct GreetHandler;

impl GreetHandler {
    #[request_logging(step = 1)]
    fn greet(&self) {}
}

fn main() {}
