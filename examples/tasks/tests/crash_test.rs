//! The worker, with something going wrong at every step: no reminder is lost. And one with a bug planted in it, which
//! is found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brighter::PolicyRegistry;
use brighter::policy::Retry;
use brighter::prelude::*;
use brighter::testing::{Scenario, crash_test};
use tasks::mail::{DEFAULT_SENDER, MailFolder, Sending};
use tasks::{MailGateway, MailTaskReminderHandler, TaskReminder};

/// Says that a mail is sent when it is about to be: faster, and wrong. The message is acknowledged before the mail is
/// on the disk.
struct WriteBehind(MailFolder);

impl MailGateway for WriteBehind {
    fn send<'a>(&'a self, reminder: &'a TaskReminder) -> Sending<'a> {
        let (folder, reminder) = (self.0.clone(), reminder.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = folder.send(&reminder).await;
        });
        Box::pin(async { Ok(()) })
    }
}

/// Ada and Grace are reminded. The folder of their mails outlives the worker.
fn reminders(scenario: Scenario, gateway: fn(MailFolder) -> Arc<dyn MailGateway>) -> Scenario {
    let place = Arc::new(tempfile::tempdir().unwrap());
    let path = place.path().join("mail");
    let mail = path.clone();
    scenario
        .app(move |app| {
            let _ = &place;
            let folder = MailFolder::open(&mail, DEFAULT_SENDER.parse().unwrap()).unwrap();
            let mail = gateway(folder);
            async move {
                app.processor(|processor| {
                    let policies = PolicyRegistry::default()
                        .insert("retry", Retry::attempts(3).fixed(Duration::from_millis(50)));
                    processor
                        .policies(policies)
                        .handler(MailTaskReminderHandler::new(mail))
                })
                .dispatcher(|dispatcher| {
                    dispatcher.subscription(Subscription::<TaskReminder>::new("task-reminders"))
                })
            }
        })
        .when(|life| async move {
            for name in ["ada", "grace"] {
                let reminder = TaskReminder {
                    id: name.into(),
                    task_name: "Water the plants".into(),
                    due: "tonight".into(),
                    recipient: format!("{name}@example.com"),
                };
                if life.processor().post(reminder).await.is_ok() {
                    life.promise(format!("{name}.eml"));
                }
            }
        })
        .effects(move || {
            let mails = mails(&path);
            async move { mails }
        })
}

fn mails(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".eml")).collect()
}

#[test]
fn no_fault_loses_a_reminder_or_mails_it_twice() {
    let done = crash_test(|scenario| reminders(scenario, |folder| Arc::new(folder)).exactly_once());
    assert!(done.points >= 10 && done.runs >= 100, "{done:?}");
}

#[test]
fn an_ack_before_the_mail_is_written_is_found() {
    let planted = || crash_test(|scenario| reminders(scenario, |folder| Arc::new(WriteBehind(folder))));
    let panic = catch_unwind(AssertUnwindSafe(planted)).expect_err("there is a bug to find");
    let told = panic.downcast_ref::<String>().unwrap();
    assert!(told.contains(".eml` was promised, and is lost"), "{told}");
    // Any death after the acknowledgement shows it; which one comes first is not the point.
    assert!(told.contains("To run it alone: BRIGHTER_EXHAUST=\""), "{told}");
}
