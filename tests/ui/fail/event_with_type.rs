use brighter::prelude::*;

#[derive(Event)]
#[event(type = "Noted.v2")]
struct Noted { text: String }

fn main() {}
