use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note")]
enum Note {
    One(#[message(id)] MessageId),
}

fn main() {}
