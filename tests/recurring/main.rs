//! Recurring work: schedules in memory with a paused clock, and in real databases with processes that die.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod administering;
mod building;
mod crashing;
mod databases;
mod firing;
#[path = "../integration/gate.rs"]
mod gate;
mod registering;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use brighter::InMemoryInbox;
use brighter::message::Message as BrighterMessage;
use brighter::outbox::{Claim, Outbox};
use brighter::prelude::*;
use brighter::schedule::{Occurrence, Recurring};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(topic = "Recurring.Report")]
struct Report {
    of: Occurrence,
}

impl From<Occurrence> for Report {
    fn from(of: Occurrence) -> Self {
        Self { of }
    }
}

/// Notes the occurrences that it is given, and takes its time for each.
#[derive(Clone, Default)]
struct Reporter {
    noted: Arc<Mutex<Vec<Occurrence>>>,
    takes: Duration,
}

impl Reporter {
    /// The local times, without seconds.
    fn times(&self) -> Vec<String> {
        let noted = self.noted.lock().unwrap();
        noted
            .iter()
            .map(|one| one.local[..16].replace('T', " "))
            .collect()
    }

    fn noted(&self) -> Vec<Occurrence> {
        self.noted.lock().unwrap().clone()
    }
}

#[handler]
impl Handler<Report> for Reporter {
    #[use_inbox(lease = "3h", step = 1)]
    async fn handle(&self, report: &Report) -> Result<(), BoxError> {
        self.noted.lock().unwrap().push(report.of.clone());
        tokio::time::sleep(self.takes).await;
        Ok(())
    }
}

/// Returns a time of RFC 3339.
fn time(text: &str) -> SystemTime {
    let json = format!(
        r#"{{"id":"x","schedule":"x","scheduledFor":"{text}","local":"","zone":"","isMissed":false,"isOnRequest":false}}"#
    );
    serde_json::from_str::<Occurrence>(&json).unwrap().scheduled_for
}

/// An outbox whose schedules go by this time.
fn outbox_at(text: &str) -> InMemoryOutbox {
    InMemoryOutbox::new().clock_at(time(text))
}

/// A processor that fires into this outbox, and leaves the messages there.
fn processor_of(
    outbox: impl Outbox,
    recurring: impl IntoIterator<Item = Recurring<Report>>,
) -> CommandProcessor {
    processor_that_looks(SECOND, outbox, recurring)
}

/// The same with an interval of its own.
fn processor_that_looks(
    interval: Duration,
    outbox: impl Outbox,
    recurring: impl IntoIterator<Item = Recurring<Report>>,
) -> CommandProcessor {
    let mut builder = CommandProcessor::builder()
        .outbox(outbox)
        .broker(InMemoryBroker::new())
        .sweeper(Sweeper::default().interval(interval).min_age(400 * DAY))
        .without_archiver()
        .runtime_schedules();
    for recurring in recurring {
        builder = builder.recurring(recurring);
    }
    builder.build().unwrap()
}

/// Every message that is outstanding, which makes no other use of the outbox possible.
async fn deposited(outbox: &impl Outbox) -> Vec<BrighterMessage> {
    let claimed = outbox.claim(Claim::oldest(100_000, Duration::ZERO), DAY).await;
    claimed
        .unwrap()
        .into_iter()
        .map(|claimed| claimed.message)
        .collect()
}

fn occurrence_of(message: &BrighterMessage) -> Occurrence {
    Occurrence::of(&message.header).expect("a message of a schedule")
}
