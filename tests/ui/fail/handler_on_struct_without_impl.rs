use brighter::prelude::*;

#[derive(Command)]
struct Greet;

#[handler(Greet)]
#[request_logging(step = 1)]
struct GreetHandler;


fn main() {}
