//! Commands for a dispatcher, and the reports on them.

use brighter::Message;
use brighter::dispatcher::{ControlCommand, ControlReport};
use brighter::mapper::{JsonMapper, MapError, MessageMapper};
use brighter::message::MessageBody;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Target;
use crate::json::header;
use crate::seed::{DEEP, Seed, nested};

/// A command or a report is read or refused; what was read can be sent, and arrives as it was.
pub(crate) const TARGET: Target = Target {
    name: "control",
    run: |bytes| {
        arrives::<ControlCommand>(bytes);
        arrives::<ControlReport>(bytes);
    },
    seeds,
};

fn arrives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let came = Message::new(header(), MessageBody::new(bytes.to_vec()));
    let read: Result<T, MapError> = JsonMapper.to_request(&came);
    let Ok(read) = read else {
        return;
    };
    let written = JsonMapper.to_message(&read, header());
    let written = written.expect("what was read can be written");
    let again: T = JsonMapper
        .to_request(&written)
        .expect("what was written can be read");
    assert_eq!(again, read);
}

fn seeds() -> Vec<Seed> {
    let commands = [
        ("start-all", r#""start_all""#),
        ("stop", r#"{"stop":"orders"}"#),
        (
            "scale",
            r#"{"scale":{"subscription":"orders","performers":{"least":2,"most":8}}}"#,
        ),
        (
            "throttle",
            r#"{"throttle":{"subscription":"orders","concurrency":4,"rate":{"calls":100,"per":{"secs":1,"nanos":0}}}}"#,
        ),
        (
            "report",
            r#"{"command_id":"a","command":"report","node":"one","refused":null,"interrupted":[],"readiness":"ready","subscriptions":[]}"#,
        ),
    ];
    let mut seeds: Vec<_> = commands
        .iter()
        .map(|(name, text)| Seed::new(name, *text))
        .collect();
    seeds.push(Seed::new("deep", nested("{\"stop\":", DEEP, "1", "}")));
    seeds.push(Seed::new("deep-list", nested("[", DEEP, "", "]")));
    seeds.push(Seed::new(
        "long",
        format!(r#"{{"stop":"{}"}}"#, "é".repeat(50_000)),
    ));
    seeds
}
