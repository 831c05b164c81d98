use queue::prelude::*;

#[derive(Command)]
struct Greet;

fn main() {}
