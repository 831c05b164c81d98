use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note", id)]
struct Note { text: String }

fn main() {}
