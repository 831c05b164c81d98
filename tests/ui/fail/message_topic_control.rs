use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Task\nReminder")]
struct Note { text: String }

fn main() {}
