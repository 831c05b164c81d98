use brighter::prelude::*;

#[derive(Serialize, Message)]
#[message(topic = "Note")]
struct Note { text: String }

fn main() {}
