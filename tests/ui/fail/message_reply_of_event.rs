use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note", kind = "event", reply = String)]
struct Note { text: String }

fn main() {}
