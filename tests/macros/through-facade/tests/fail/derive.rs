use platform::brighter::prelude::*;

#[derive(Command)]
struct Greet;

fn main() {}
