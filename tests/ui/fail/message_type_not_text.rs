use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note", type = Note)]
struct Note { text: String }

fn main() {}
