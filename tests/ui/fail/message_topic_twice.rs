use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Task.Reminder", topic = "Task.Overdue")]
struct Note { text: String }

fn main() {}
