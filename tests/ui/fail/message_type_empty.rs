use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note", type = "")]
struct Note { text: String }

fn main() {}
