use brighter::prelude::*;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Task.*")]
struct Note { text: String }

fn main() {}
