use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message, topic = "Note")]
struct Note;

fn main() {}
