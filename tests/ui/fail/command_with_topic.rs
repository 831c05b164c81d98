use brighter::prelude::*;

#[derive(Command)]
#[message(topic = "Note")]
struct Note { text: String }

fn main() {}
