use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = )]
struct Note { text: String }

fn main() {}
