use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note")]
struct Note { id: u64 }

fn main() {}
