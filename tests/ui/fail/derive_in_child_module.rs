use brighter::derive;

#[derive(Debug)]
struct Here;

mod child {
    use brighter::prelude::*;

    #[derive(Serialize, Deserialize, Message, topic = "Note")]
    struct Note;
}

fn main() {}
