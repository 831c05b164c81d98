use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topik = "Note")]
struct Note { text: String }

fn main() {}
