use brighter::prelude::*;

#[derive(Message)]
#[message(topic = "Note")]
struct Note { text: String }

fn main() {}
