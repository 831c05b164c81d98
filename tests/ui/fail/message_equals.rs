use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message = "Task.Reminder"]
struct Note { text: String }

fn main() {}
