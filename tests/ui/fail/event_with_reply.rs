use brighter::prelude::*;

#[derive(Event)]
#[event(reply = String)]
struct Note { text: String }

fn main() {}
