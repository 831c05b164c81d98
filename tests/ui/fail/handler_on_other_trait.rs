use brighter::prelude::*;

struct GreetHandler;

#[handler]
impl Clone for GreetHandler {
    fn clone(&self) -> Self {
        Self
    }
}

fn main() {}
