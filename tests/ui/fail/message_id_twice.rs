use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note")]
struct Note {
    #[message(id)]
    one: MessageId,
    #[message(id)]
    other: MessageId,
}

fn main() {}
