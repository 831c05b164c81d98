use brighter::derive;
use brighter::prelude::*;

#[derive(Debug, Command, topic = "Note")]
struct Note;

fn main() {}
