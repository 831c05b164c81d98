use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note", mapper = "Json")]
struct Note { text: String }

fn main() {}
