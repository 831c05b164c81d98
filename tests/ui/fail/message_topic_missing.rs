use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
struct Note { text: String }

fn main() {}
