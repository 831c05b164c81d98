//! Every snippet of the design, as a user would write it: in a library, where `pub` is for others.
#![allow(unreachable_pub)]

use std::sync::{Arc, Mutex};

use brighter::prelude::*;
use brighter_tests::wait::until_eq;

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Reminder")] // kind = "command" unless said: "event", "document"
pub struct TaskReminder {
    pub id: MessageId,
    pub task_name: String,
    pub due: String,
    pub recipient: String,
}

#[derive(Debug, thiserror::Error)]
#[error("no mail today")]
pub struct MailError;

pub trait MailGateway: Send + Sync {
    fn send(&self, reminder: &TaskReminder) -> std::future::Ready<Result<(), MailError>>;
}

#[derive(Default)]
struct Mailbox(Mutex<Vec<String>>);

impl MailGateway for Mailbox {
    fn send(&self, reminder: &TaskReminder) -> std::future::Ready<Result<(), MailError>> {
        self.0.lock().unwrap().push(reminder.task_name.clone());
        std::future::ready(Ok(()))
    }
}

fn reminder(task: &str) -> TaskReminder {
    TaskReminder {
        id: MessageId::new(),
        task_name: task.into(),
        due: "tomorrow".into(),
        recipient: "ian@example.com".into(),
    }
}

mod on_the_impl {
    use super::*;

    pub struct MailTaskReminderHandler {
        pub mail: Arc<dyn MailGateway>,
    }

    #[handler]
    impl Handler<TaskReminder> for MailTaskReminderHandler {
        #[request_logging(step = 1, timing = before)]
        #[use_policy(circuit_breaker, step = 2)]
        #[use_policy(retry, step = 3)]
        async fn handle(&self, reminder: &TaskReminder) -> Result<(), MailError> {
            self.mail.send(reminder).await
        }
    }
}

mod on_the_struct {
    use super::*;

    #[handler(TaskReminder)]
    #[request_logging(step = 1)]
    #[use_policy(circuit_breaker, step = 2)]
    #[use_policy(retry, step = 3)]
    pub struct MailTaskReminderHandler {
        pub mail: Arc<dyn MailGateway>,
    }

    impl Handler<TaskReminder> for MailTaskReminderHandler {
        type Error = MailError;

        async fn handle(&self, reminder: &TaskReminder, _: &Context) -> Result<(), MailError> {
            self.mail.send(reminder).await
        }
    }
}

mod topic_in_the_derive {
    use brighter::derive;
    use brighter::prelude::{Deserialize, Message, MessageId, Serialize};

    #[derive(Debug, Clone, Serialize, Deserialize, Message, topic = "Task.Reminder")]
    pub struct TaskReminder {
        pub id: MessageId,
    }
}

mod with_context_and_reply {
    use super::*;

    #[derive(Debug, Command)]
    #[command(reply = Invoice)]
    pub struct Bill {
        pub amount: u32,
    }

    #[derive(Debug, PartialEq)]
    pub struct Invoice(pub u32);

    pub struct Billing;

    #[handler]
    impl Handler<Bill> for Billing {
        async fn handle(&self, bill: &Bill, cx: &Context) -> Result<Invoice, BoxError> {
            assert_eq!(cx.attempt(), 1);
            Ok(Invoice(bill.amount))
        }
    }
}

/// An event that never leaves the process.
#[derive(Debug, Event)]
struct TaskOverdue;

#[derive(Default, Clone)]
struct Overdue(Arc<Mutex<u32>>);

#[handler]
impl Handler<TaskOverdue> for Overdue {
    async fn handle(&self, _: &TaskOverdue) -> Result<(), BoxError> {
        *self.0.lock().unwrap() += 1;
        Ok(())
    }
}

#[test]
fn both_spellings_of_the_topic_are_one() {
    use brighter::mapper::Postable;
    assert_eq!(TaskReminder::TOPIC, "Task.Reminder");
    assert_eq!(topic_in_the_derive::TaskReminder::TOPIC, "Task.Reminder");
}

#[tokio::test]
async fn both_spellings_of_a_handler_have_one_pipeline() -> Result<(), BoxError> {
    let mail = Arc::new(Mailbox::default());
    let on_the_impl = CommandProcessor::builder()
        .handler(on_the_impl::MailTaskReminderHandler { mail: mail.clone() })
        .build()?;
    let on_the_struct = CommandProcessor::builder()
        .handler(on_the_struct::MailTaskReminderHandler { mail: mail.clone() })
        .build()?;
    on_the_impl.send(reminder("one")).await?;
    on_the_struct.send(reminder("two")).await?;
    assert_eq!(*mail.0.lock().unwrap(), ["one", "two"]);
    let steps = |processor: &CommandProcessor| processor.describe().next().unwrap().steps.clone();
    assert_eq!(steps(&on_the_impl), steps(&on_the_struct));
    let printed: Vec<_> = steps(&on_the_impl).iter().map(ToString::to_string).collect();
    assert_eq!(
        printed,
        [
            "1 before request_logging",
            "2 before use_policy circuit_breaker: circuit breaker, opens after 10 failures in a row for 5s",
            "3 before use_policy retry: retry, 4 attempts, waiting about 50ms and doubling up to 10s, retries at most 20% of calls and 10 a second",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_command_gives_its_reply() -> Result<(), BoxError> {
    use with_context_and_reply::{Bill, Billing, Invoice};
    let processor = CommandProcessor::builder().handler(Billing).build()?;
    assert_eq!(processor.send(Bill { amount: 12 }).await?, Invoice(12));
    Ok(())
}

#[tokio::test]
async fn in_process_out_of_it_and_the_consumer() -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tasks.db");
    let mail = Arc::new(Mailbox::default());
    let overdue = Overdue::default();
    let broker = InMemoryBroker::new();
    let outbox = SqliteOutbox::open(&file).await?;
    let pool = outbox.pool().clone();
    let policies = PolicyRegistry::default();

    let processor = CommandProcessor::builder()
        .handler(on_the_impl::MailTaskReminderHandler { mail: mail.clone() })
        .handler(overdue.clone())
        .policies(policies) // named: "retry", "circuit_breaker", your own
        .broker(broker) // InMemoryBroker::new(), or RabbitMq::connect(url)
        .outbox(outbox)
        .build()?; // every wiring mistake, all at once, each with its fix

    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(
            Subscription::<TaskReminder>::new("task-reminders")
                .performers(4)
                .buffer(200),
        )
        .build()?;
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;

    processor.send(reminder("sent")).await?; // in process: exactly one handler
    processor.publish(TaskOverdue).await?; // in process: every handler; all errors come back
    processor.post(reminder("posted")).await?; // out of process: outbox, then broker

    sqlx::query("CREATE TABLE tasks (name TEXT)")
        .execute(&pool)
        .await?;
    let mut tx = pool.begin().await?; // the app's own transaction
    sqlx::query("INSERT INTO tasks VALUES ('deposited')")
        .execute(&mut *tx)
        .await?;
    let id = processor.deposit_post(&mut tx, reminder("deposited")).await?; // committed with it, or not at all
    tx.commit().await?; // the sweeper sends it; clear_outbox(ids) sends it now
    processor.clear_outbox(&[id]).await?;

    let mut expected = vec!["deposited", "posted", "sent"];
    expected.sort_unstable();
    until_eq("the tasks mailed", expected, || {
        let mut tasks = mail
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|task| &*task.clone().leak())
            .collect::<Vec<_>>();
        tasks.sort_unstable();
        tasks
    })
    .await;
    assert_eq!(*overdue.0.lock().unwrap(), 1);
    assert!(dispatcher.end().await.interrupted.is_empty());
    Ok(())
}
