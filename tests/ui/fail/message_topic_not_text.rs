use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = Task.Reminder)]
struct Note { text: String }

fn main() {}
