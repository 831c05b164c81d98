use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note", kind = "comand")]
struct Note { text: String }

fn main() {}
