use std::time::Duration;

use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Note")]
struct Note;

fn ask(processor: &CommandProcessor) {
    let _ = processor.call(Note, Duration::from_secs(1));
}

fn main() {}
