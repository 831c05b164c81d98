use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note")]
struct Note {
    #[message(id)]
    key: u64,
}

fn main() {}
