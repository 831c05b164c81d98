use brighter::prelude::*;

#[message(topic = "Note")]
struct Note;

fn main() {}
