use brighter::prelude::*;

#[derive(Command)]
#[command(topic = "Note")]
struct Note { text: String }

fn main() {}
