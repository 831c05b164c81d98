use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note", type = "Note\t2")]
struct Note { text: String }

fn main() {}
