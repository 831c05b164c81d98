use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note")]
struct Note {
    #[message(ids)]
    key: MessageId,
}

fn main() {}
