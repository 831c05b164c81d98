//! Every macro in a crate that calls brighter `queue`: `crate = queue` says so.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod no_prelude;

use std::io::Error;

use queue::mapper::Postable;
use queue::prelude::*;
use queue::request::RequestKind;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(crate = queue, topic = "Ask", reply = u32)]
struct Ask {
    id: MessageId,
}

#[queue::derive(Debug, Serialize, Deserialize, Message, crate = queue, topic = "Tell", kind = "event")]
struct Tell;

#[derive(Command)]
#[command(crate = ::queue)]
struct Open;

#[queue::derive(Debug, queue::Event, crate = queue)]
struct Opened;

struct Answers;

#[handler(crate = queue)]
impl Handler<Ask> for Answers {
    #[cfg_attr(all(), queue::use_policy(retry, step = 1))]
    #[use_inbox(step = 2)]
    #[fallback(later, step = 3)]
    #[timeout("5s", step = 4)]
    async fn handle(&self, _: &Ask) -> Result<u32, Error> {
        Ok(7)
    }
}

impl Answers {
    async fn later(&self, _: &Ask, _: &HandlerError) -> Result<u32, Error> {
        Ok(0)
    }
}

#[queue::handler(Open, crate = ::queue)]
#[queue::request_logging(step = 1)]
struct Opens;

impl Handler<Open> for Opens {
    type Error = Error;

    async fn handle(&self, _: &Open, _: &Context) -> Result<(), Error> {
        Ok(())
    }
}

struct Notes;

#[handler(crate = queue)]
impl Handler<Opened> for Notes {
    async fn handle(&self, _: &Opened) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn handlers_run_when_crate_names_a_renamed_dependency() {
    let processor = CommandProcessor::builder()
        .handler(Answers)
        .handler(Opens)
        .handler(Notes)
        .inbox(InMemoryInbox::new())
        .build()
        .unwrap();
    let ask = Ask { id: MessageId::new() };
    assert_eq!(ask.id(), Some(&ask.id));
    assert_eq!(processor.send(ask).await.unwrap(), 7);
    processor.send(Open).await.unwrap();
    processor.publish(Opened).await.unwrap();
    assert_eq!((Ask::TOPIC, Tell::TOPIC), ("Ask", "Tell"));
    assert_eq!(Tell::KIND, RequestKind::Event);

    let without = CommandProcessor::builder()
        .handler(no_prelude::Counts)
        .build()
        .unwrap();
    assert_eq!(without.send(no_prelude::Count(3)).await.unwrap(), 3);

    let all: Vec<_> = processor.describe().collect();
    let steps = all.iter().map(|pipeline| pipeline.steps.len());
    assert_eq!(steps.sum::<usize>(), 5);
}

#[test]
fn message_names_the_mend_when_the_crate_has_another_name() {
    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");
}
