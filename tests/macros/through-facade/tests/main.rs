//! Every macro in a crate that has brighter by a re-export: `crate = …` says where.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Error;

use platform::brighter::prelude::*;
use platform::brighter::{self as library, mapper::Postable};

mod library_of_ours {
    pub(crate) use platform::brighter as queue;
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[serde(crate = "platform::serde")]
#[message(topic = "Ask", reply = u32, crate = platform::brighter)]
struct Ask {
    id: MessageId,
    r#type: u32,
}

#[library::derive(Serialize, Deserialize, Message, topic = "Tell", crate = ::platform::brighter)]
#[serde(crate = "platform::serde")]
struct Tell;

#[library::derive(Command, crate = crate::library_of_ours::queue)]
struct Open;

#[derive(Event)]
#[event(crate = self::library_of_ours::queue)]
struct Opened;

platform::command!(Close);

struct Answers;

#[handler(crate = platform::brighter)]
impl Handler<Ask> for Answers {
    #[platform::brighter::use_policy([retry, Policy::timeout(std::time::Duration::from_secs(1))], step = 2)]
    #[defer_on_error("1s", step = 1)]
    #[brighter::timeout("5s", step = 3)]
    #[fallback(later, step = 4)]
    async fn handle(&self, ask: &Ask) -> Result<u32, Error> {
        Ok(ask.r#type)
    }
}

impl Answers {
    async fn later(&self, _: &Ask, _: &HandlerError) -> Result<u32, Error> {
        Ok(0)
    }
}

#[handler(Open, crate = crate::library_of_ours::queue)]
#[crate::library_of_ours::queue::monitor(step = 2)]
#[request_logging(step = 1)]
struct Opens;

#[handler(on_struct, crate = platform::brighter)]
impl Handler<Open> for Opens {
    async fn handle(&self, _: &Open) -> Result<(), Error> {
        Ok(())
    }
}

struct Notes;

#[handler(crate = library_of_ours::queue)]
impl Handler<Opened> for Notes {
    async fn handle(&self, _: &Opened) -> std::io::Result<()> {
        Ok(())
    }
}

struct Closes;
platform::handler_of!(Closes, Close, Result<(), Error>, { Ok(()) });

struct Silent;

impl library::layer::MonitorSink for Silent {
    fn record(&self, _: &library::layer::MonitorEvent) {}
}

#[tokio::test]
async fn handlers_run_when_crate_names_a_re_export() {
    let processor = CommandProcessor::builder()
        .handler(Answers)
        .handler(Opens)
        .handler(Notes)
        .handler(Closes)
        .monitor(Silent)
        .build()
        .unwrap();
    let ask = Ask {
        id: MessageId::new(),
        r#type: 7,
    };
    assert_eq!(ask.id(), Some(&ask.id));
    assert_eq!(processor.send(ask).await.unwrap(), 7);
    processor.send(Open).await.unwrap();
    processor.publish(Opened).await.unwrap();
    processor.send(Close).await.unwrap();
    assert_eq!(Tell::TOPIC, "Tell");

    let steps = |name: &str| {
        let mut all = processor.describe();
        let pipeline = all.find(|pipeline| pipeline.handler.ends_with(name)).unwrap();
        pipeline
            .steps
            .iter()
            .map(|step| step.attribute)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        steps("Answers"),
        [
            "defer_on_error",
            "use_policy",
            "use_policy",
            "timeout",
            "fallback"
        ]
    );
    assert_eq!(steps("Opens"), ["request_logging", "monitor"]);
    assert_eq!(steps("Closes"), ["request_logging", "timeout"]);
}

#[test]
fn message_names_the_mend_when_there_is_no_such_crate() {
    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");
}
