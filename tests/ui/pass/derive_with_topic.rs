//! The topic inside the derive: design.md (1), third snippet; and that the derive is the standard one otherwise.
#![deny(warnings)]

use brighter::derive;
use brighter::mapper::Postable;
use brighter::prelude::*;
use brighter::request::RequestKind;

#[derive(Debug, Clone, Serialize, Deserialize, Message, topic = "Task.Reminder")]
pub struct TaskReminder {
    pub id: MessageId,
    #[serde(default)]
    pub task_name: String,
}

#[derive(Serialize, Deserialize, brighter::Message, topic = "Task.Overdue", type = "Overdue", kind = "event")]
#[message(no_id)]
pub struct TaskOverdue<T> {
    id: T,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Plain {
    #[default]
    One,
}

mod by_path {
    #[brighter::derive(Debug, brighter::Command)]
    pub struct Here;
}

fn main() {
    assert_eq!(TaskReminder::TOPIC, "Task.Reminder");
    assert_eq!(<TaskOverdue<u64> as Postable>::TOPIC, "Task.Overdue");
    assert_eq!(<TaskOverdue<u64> as Postable>::EVENT_TYPE, "Overdue");
    assert_eq!(<TaskOverdue<u64> as Request>::KIND, RequestKind::Event);
    assert!(TaskOverdue { id: 3 }.id().is_none());
    println!("{:?} {:?}", Plain::default(), by_path::Here);
}
