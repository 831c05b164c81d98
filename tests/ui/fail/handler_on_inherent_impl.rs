use brighter::prelude::*;

struct GreetHandler;

#[handler]
impl GreetHandler {
    async fn handle(&self) {}
}

fn main() {}
