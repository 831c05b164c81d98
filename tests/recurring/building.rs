//! What `build()` refuses, with what to do.

use brighter::inbox::{Begun, ClaimId, Fingerprint, Inbox, InboxError, InboxKey};
use brighter::outbox::{Claimed, Failure, OutboxError, OutboxStatus};
use brighter::processor::{BuildError, CommandProcessorBuilder};
use brighter::schedule::{Cron, Missed, Overlap, Recurring, cron};
use futures_util::future::BoxFuture;

use super::*;

struct WithoutInbox;

#[handler]
impl Handler<Report> for WithoutInbox {
    async fn handle(&self, _: &Report) -> Result<(), BoxError> {
        Ok(())
    }
}

/// An outbox of a third party without schedules.
struct WithoutSchedules(InMemoryOutbox);

impl Outbox for WithoutSchedules {
    fn deposit<'a>(
        &'a self,
        messages: &'a [BrighterMessage],
        lease: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<MessageId>, OutboxError>> {
        self.0.deposit(messages, lease)
    }

    fn claim<'a>(
        &'a self,
        which: Claim<'a>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Vec<Claimed>, OutboxError>> {
        self.0.claim(which, lease)
    }

    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>> {
        self.0.mark_dispatched(ids)
    }

    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> BoxFuture<'a, Result<(), OutboxError>> {
        self.0.mark_failed(failures)
    }

    fn release<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>> {
        self.0.release(ids)
    }

    fn status(&self) -> BoxFuture<'_, Result<OutboxStatus, OutboxError>> {
        self.0.status()
    }
}

/// An inbox of a third party without a history.
struct WithoutHistory(InMemoryInbox);

impl Inbox for WithoutHistory {
    fn begin<'a>(
        &'a self,
        key: &'a InboxKey,
        fingerprint: Option<Fingerprint>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Begun, InboxError>> {
        self.0.begin(key, fingerprint, lease)
    }

    fn complete<'a>(&'a self, key: &'a InboxKey) -> BoxFuture<'a, Result<(), InboxError>> {
        self.0.complete(key)
    }

    fn abandon<'a>(&'a self, key: &'a InboxKey, claim: ClaimId) -> BoxFuture<'a, Result<(), InboxError>> {
        self.0.abandon(key, claim)
    }
}

fn hourly(name: &str) -> Recurring<Report> {
    Recurring::new(name, cron!("0 * * * *"))
}

fn with_all() -> CommandProcessorBuilder {
    CommandProcessor::builder()
        .outbox(InMemoryOutbox::new())
        .inbox(InMemoryInbox::new())
        .broker(InMemoryBroker::new())
}

/// Returns what is wrong with the schedules, as a person sees it.
fn refused(builder: CommandProcessorBuilder) -> Vec<String> {
    let errors = builder.build().expect_err("something is wrong");
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, BuildError::Schedule { .. } | BuildError::SetTwice { .. }))
    );
    errors.iter().map(|error| format!("{error:?}")).collect()
}

#[tokio::test]
async fn every_schedule_that_cannot_be_is_refused_with_its_fix() {
    let all = |within, at_most| Missed::All { within, at_most };
    let cases = [
        (hourly(""), "its name cannot be used: it is empty"),
        (hourly(&"x".repeat(201)), "it has more than 200 bytes"),
        (hourly(" a"), "it begins or ends with a space"),
        (hourly("a\nb"), "it has a control character"),
        (
            hourly("a").time_zone("Europe/Nowhere"),
            "the time zone `Europe/Nowhere` is unknown; write a name of the IANA",
        ),
        (hourly("a").time_zone(""), "the time zone `` is unknown"),
        (
            hourly("a").time_zone("+02:00"),
            "the time zone `+02:00` is unknown",
        ),
        (
            hourly("a").jitter(HOUR),
            "the jitter 3600s is not shorter than the 3600s between two occurrences",
        ),
        (
            Recurring::new("a", cron!("0,1 0 * * *")).jitter(2 * MINUTE),
            "the jitter 120s is not shorter than the 60s between two occurrences",
        ),
        (
            hourly("a").missed(Missed::Last {
                within: Duration::ZERO,
            }),
            "write `Missed::None`, or a time",
        ),
        (
            hourly("a").missed(all(Duration::ZERO, 1)),
            "write `Missed::None`, or a time",
        ),
        (
            hourly("a").missed(all(HOUR, 0)),
            "`at_most` of the missed occurrences is 0; it takes 1 to 1000",
        ),
        (
            hourly("a").missed(all(HOUR, 1001)),
            "`at_most` of the missed occurrences is 1001",
        ),
        (
            hourly("a").missed(all(HOUR, 5)).overlap(Overlap::Skip),
            "write `Missed::Last`, or `Overlap::Allow`",
        ),
        (
            hourly("a").overlap_timeout(Duration::ZERO),
            "`overlap_timeout` is zero",
        ),
    ];
    for (recurring, part) in cases {
        let name = format!("{recurring:?}");
        let [only] = &refused(with_all().recurring(recurring))[..] else {
            panic!("one mistake is one error: {name}");
        };
        assert!(
            only.starts_with("invalid schedule `") && only.contains(part),
            "{only}"
        );
    }
}

#[tokio::test]
async fn every_part_that_a_schedule_needs_is_missed() {
    let skips = || hourly("a").overlap(Overlap::Skip);
    let queues = || hourly("a").overlap(Overlap::Queue);
    let broker = InMemoryBroker::new;
    let cases = [
        (
            with_all().recurring(hourly("a")).recurring(hourly("a")),
            "another schedule has the same name",
        ),
        (
            CommandProcessor::builder()
                .broker(broker())
                .recurring(hourly("a")),
            "there is no outbox; add `.outbox(…)`",
        ),
        (
            CommandProcessor::builder()
                .outbox(InMemoryOutbox::new())
                .recurring(hourly("a")),
            "there is no broker to which its messages are sent",
        ),
        (
            CommandProcessor::builder()
                .outbox(WithoutSchedules(InMemoryOutbox::new()))
                .broker(broker())
                .recurring(hourly("a")),
            "the outbox cannot keep schedules",
        ),
        (
            CommandProcessor::builder()
                .outbox(InMemoryOutbox::new())
                .broker(broker())
                .recurring(skips()),
            "there is no inbox that knows which were handled; add `.inbox(…)`",
        ),
        (
            CommandProcessor::builder()
                .outbox(InMemoryOutbox::new())
                .broker(broker())
                .recurring(queues()),
            "there is no inbox that knows which were handled",
        ),
        (
            CommandProcessor::builder()
                .outbox(InMemoryOutbox::new())
                .broker(broker())
                .inbox(WithoutHistory(InMemoryInbox::new()))
                .recurring(skips()),
            "the inbox cannot tell which were handled",
        ),
        (
            with_all().handler(WithoutInbox).recurring(skips()),
            "put `#[use_inbox]` on it",
        ),
        (
            with_all().schedules_of("a").schedules_of("b"),
            "`.schedules_of(…)` was called twice",
        ),
    ];
    for (builder, part) in cases {
        let [only] = &refused(builder)[..] else {
            panic!("one mistake is one error: {part}");
        };
        assert!(only.contains(part), "{only}");
    }
}

#[tokio::test]
async fn mistakes_are_told_at_once_and_right_schedules_build() {
    let wrong = with_all()
        .recurring(hourly("").time_zone("x"))
        .recurring(hourly("b").jitter(DAY));
    assert_eq!(refused(wrong).len(), 3);
    let rare = Recurring::<Report>::new("rare", Cron::parse("0 0 29 2 *").unwrap()).jitter(DAY);
    let right = with_all()
        .handler(Reporter::default())
        .recurring(rare)
        .recurring(hourly("skips").overlap(Overlap::Skip))
        .recurring(hourly("queues").overlap(Overlap::Queue).missed(Missed::None));
    right.build().unwrap();
}
