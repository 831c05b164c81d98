//! Several types of requests on one channel.

use brighter::channel::Producer;
use brighter::message::EventAttributes;
use brighter::processor::BuildError;
use brighter_tests::wait::{until, until_eq};

use super::*;

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Created", kind = "event", type = "task.created.v1")]
struct TaskCreated {
    number: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Done", kind = "event")]
struct TaskDone {
    number: u32,
}

#[derive(Clone, Default)]
struct Both(Arc<Mutex<Vec<(&'static str, u32)>>>);

#[handler]
impl Handler<TaskCreated> for Both {
    async fn handle(&self, created: &TaskCreated) -> Result<(), BoxError> {
        self.0.lock().unwrap().push(("created", created.number));
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Done(Both);

#[handler]
impl Handler<TaskDone> for Done {
    async fn handle(&self, done: &TaskDone) -> Result<(), BoxError> {
        self.0.0.lock().unwrap().push(("done", done.number));
        Ok(())
    }
}

struct App {
    broker: InMemoryBroker,
    dispatcher: Dispatcher,
    both: Both,
}

async fn app() -> App {
    let (broker, both) = (InMemoryBroker::new(), Both::default());
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .handler(both.clone())
        .handler(Done(both.clone()))
        .build()
        .unwrap();
    let subscription = Subscription::one_of("task-events")
        .request::<TaskCreated>()
        .request_ordered_by(|done: &TaskDone| done.number)
        .concurrency(4);
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    App {
        broker,
        dispatcher,
        both,
    }
}

impl App {
    fn seen(&self) -> Vec<(&'static str, u32)> {
        let mut seen = self.both.0.lock().unwrap().clone();
        seen.sort_unstable();
        seen
    }

    async fn publish(&self, topic: &str, event_type: &str) {
        let event = EventAttributes::default().with_type(event_type);
        let header = MessageHeader::new(MessageId::new(), topic, MessageType::Event).with_event(event);
        let body = MessageBody::new(&br#"{"number": 9}"#[..]);
        self.broker.publish(&Message::new(header, body)).await.unwrap();
    }

    /// The reason of the one message that is invalid.
    async fn reason(&self) -> String {
        let invalid = || self.broker.messages("task-events.invalid");
        until("it is set aside", || !invalid().is_empty()).await;
        let reason = invalid()[0].header.bag.get("rejectionMessage").unwrap().clone();
        reason.as_str().unwrap().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn reading_a_dynamic_message_pumps_it_to_the_processor() {
    let app = app().await;
    app.dispatcher
        .processor()
        .post(TaskCreated { number: 1 })
        .await
        .unwrap();
    app.dispatcher
        .processor()
        .post(TaskDone { number: 1 })
        .await
        .unwrap();
    until_eq(
        "each at its own handler",
        vec![("created", 1), ("done", 1)],
        || app.seen(),
    )
    .await;
    assert!(app.broker.messages("task-events.invalid").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_type_selects_the_request_before_the_topic() {
    let app = app().await;
    app.publish("Task.Done", "task.created.v1").await;
    app.publish("Task.Created", "").await;
    app.publish("Task.Done", "").await;
    until_eq(
        "all of them",
        vec![("created", 9), ("created", 9), ("done", 9)],
        || app.seen(),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_type_is_rejected_naming_known_types() {
    let app = app().await;
    app.publish("Task.Created", "task.deleted").await;
    assert_eq!(
        app.reason().await,
        "no request of this subscription has the type `task.deleted`; it brings: task.created.v1, Task.Done"
    );
    app.publish("Task.Done", "").await;
    until_eq("the pump goes on", vec![("done", 9)], || app.seen()).await;
}

#[test]
fn duplicate_types_and_missing_handlers_fail_build() {
    #[derive(Debug, Clone, Serialize, Deserialize, Message)]
    #[message(topic = "Elsewhere", kind = "event", type = "Task.Done")]
    struct Alike;
    let processor = CommandProcessor::builder()
        .broker(InMemoryBroker::new())
        .handler(Done::default())
        .build()
        .unwrap();
    let errors = Dispatcher::builder(processor)
        .subscription(Subscription::one_of("s").request::<TaskDone>().request::<Alike>())
        .build()
        .unwrap_err();
    let found: Vec<_> = errors.iter().collect();
    assert!(
        matches!(
            found[..],
            [
                BuildError::NoHandler { .. },
                BuildError::SameType {
                    event_type: "Task.Done",
                    ..
                }
            ]
        ),
        "{errors}"
    );
}
