use brighter::prelude::*;

#[derive(Default)]
struct Text;

#[derive(Message)]
#[message(topic = "Note", mapper = Text)]
struct Note(String);

fn main() {}
