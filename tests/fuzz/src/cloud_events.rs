//! The envelope of CloudEvents.

use brighter::Message;
use brighter::mapper::{CloudEventsMapper, MapError, MessageMapper};
use brighter::message::MessageBody;
use serde_json::Value;

use crate::Target;
use crate::json::header;
use crate::seed::{DEEP, Seed, json_bodies, nested};

/// An envelope is read or refused; what was read can be posted, and says the same of its message.
pub(crate) const TARGET: Target = Target {
    name: "cloud_events",
    run,
    seeds,
};

/// The first byte says which.
const CONTENT_TYPES: [&str; 4] = [
    "application/cloudevents+json",
    "application/cloudevents+json; charset=utf-8",
    "application/json",
    "application/cloudevents-batch+json",
];

fn run(bytes: &[u8]) {
    let Some((which, body)) = bytes.split_first() else {
        return;
    };
    let content_type = CONTENT_TYPES[usize::from(*which) % CONTENT_TYPES.len()];
    let came = Message::new(
        header().with_content_type(content_type),
        MessageBody::new(body.to_vec()),
    );
    let mapper = CloudEventsMapper;
    let header = MessageMapper::<Value>::header_of(&mapper, &came);
    let request: Result<Value, MapError> = mapper.to_request(&came);
    let (Ok(Some(header)), Ok(request)) = (header, request) else {
        return;
    };
    let written = mapper.to_message(&request, header.clone());
    let written = written.expect("what was read can be written");
    let again = MessageMapper::<Value>::header_of(&mapper, &written);
    let again = again
        .expect("what was written can be read")
        .expect("it has an envelope");
    assert_eq!(again.id, header.id);
    assert_eq!(again.event_type(), header.event_type());
    assert_eq!(again.source(), header.source());
    assert_eq!(again.event.subject, header.event.subject);
    assert_eq!(again.event.data_schema, header.event.data_schema);
    assert_eq!(again.trace, header.trace);
    let data: Value = mapper.to_request(&written).expect("what was written can be read");
    assert_eq!(data, request);
}

fn seeds() -> Vec<Seed> {
    let whole = r#"{"specversion":"1.0","id":"a","source":"/s","type":"t","datacontenttype":"application/json","dataschema":"urn:x","subject":"é","time":"2026-09-30T12:00:00.123456789+02:00","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","tracestate":"a=b","tenant":"north","count":5,"flag":true,"ratio":0.5,"data":{"a":[1,2.5,null]}}"#;
    let envelope = |member: &str, value: &str| {
        format!(r#"{{"specversion":"1.0","id":"a","source":"/s","type":"t","{member}":{value}}}"#)
    };
    let mut seeds = vec![
        Seed::new("whole", whole).after(&[0]),
        Seed::new("base64", envelope("data_base64", "\"eyJhIjoxfQ==\"")).after(&[0]),
        Seed::new(
            "nulls",
            r#"{"specversion":"1.0","id":null,"source":null,"type":null,"subject":null}"#,
        )
        .after(&[1]),
        Seed::new("version", r#"{"specversion":"0.3","id":"a"}"#).after(&[0]),
        Seed::new("batch", "[]").after(&[3]),
    ];
    for member in ["data", "extension", "id", "datacontenttype"] {
        let lists = envelope(member, &nested("[", DEEP, "", "]"));
        seeds.push(Seed::new(&format!("deep-{member}"), lists).after(&[0]));
        let fits = envelope(member, &nested("{\"a\":", 125, "1", "}"));
        seeds.push(Seed::new(&format!("at-the-limit-{member}"), fits).after(&[0]));
    }
    seeds.extend(json_bodies().into_iter().map(|body| body.after(&[2])));
    seeds
}
