//! The derive with a topic, imported once for the whole crate.

#[macro_use(derive)]
extern crate brighter;

mod child {
    use brighter::prelude::*;

    #[derive(Serialize, Deserialize, Message, topic = "Task.Reminder")]
    pub struct TaskReminder;
}

fn main() {
    assert_eq!(
        <child::TaskReminder as brighter::mapper::Postable>::TOPIC,
        "Task.Reminder"
    );
}
