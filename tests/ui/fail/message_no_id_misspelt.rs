use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note", noid)]
struct Note { id: u64 }

fn main() {}
