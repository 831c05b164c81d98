use brighter::derive;
use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message, topik = "Note")]
struct Note;

fn main() {}
