//! Tests that deeply nested input is an error, and needs no deep stack.

use std::thread;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CloudEventsMapper, JsonMapper, MapError, MessageMapper};
use crate::id::MessageId;
use crate::message::{Message, MessageBody, MessageHeader, MessageType};

/// A quarter of the default stack of a thread.
const SMALL_STACK: usize = 512 * 1024;
const DEPTH: usize = 100_000;

/// A request that may be nested.
#[derive(Debug, Serialize, Deserialize)]
struct Nest {
    #[serde(default)]
    inner: Vec<Nest>,
}

fn on_a_small_stack<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::Builder::new().stack_size(SMALL_STACK).spawn(test);
    thread.unwrap().join().unwrap()
}

fn message(content_type: &'static str, body: String) -> Message {
    let header = MessageHeader::new(MessageId::new(), "topic", MessageType::Event);
    Message::new(header.with_content_type(content_type), MessageBody::new(body))
}

fn deep(open: &str, close: &str) -> [String; 2] {
    [open.repeat(DEPTH), open.repeat(DEPTH) + &close.repeat(DEPTH)]
}

#[test]
fn a_deep_body_is_an_error_on_a_small_stack() {
    on_a_small_stack(|| {
        for body in deep("{\"inner\":[", "]}") {
            let read: Result<Nest, MapError> = JsonMapper.to_request(&message("application/json", body));
            read.unwrap_err();
        }
        for body in deep("[", "]").into_iter().chain(deep("{\"a\":", "}")) {
            let read: Result<Value, MapError> = JsonMapper.to_request(&message("application/json", body));
            read.unwrap_err();
        }
    });
}

#[test]
fn a_deep_envelope_is_an_error_on_a_small_stack() {
    on_a_small_stack(|| {
        for deep in deep("[", "]").into_iter().chain(deep("{\"a\":", "}")) {
            for name in ["data", "extension", "id", "datacontenttype"] {
                let body = format!("{{\"specversion\":\"1.0\",\"{name}\":{deep}}}");
                let came = message("application/cloudevents+json", body);
                let header = MessageMapper::<Value>::header_of(&CloudEventsMapper, &came);
                let request: Result<Value, MapError> = CloudEventsMapper.to_request(&came);
                // No type reads `datacontenttype`, so serde_json skips it without recursion.
                let is_read = name != "datacontenttype";
                assert!(!is_read || header.is_err() || request.is_err(), "{name}");
            }
        }
    });
}

/// The text from a store or a file, which somebody may have edited.
#[test]
fn a_deep_stored_header_does_not_overflow_the_stack() {
    on_a_small_stack(|| {
        let header = MessageHeader::new(MessageId::new(), "topic", MessageType::Event);
        let json = serde_json::to_string(&header).unwrap();
        for deep in deep("[", "]").into_iter().chain(deep("{\"a\":", "}")) {
            let begin = json.strip_suffix('}').unwrap();
            let known = format!("{begin},\"bag\":{{\"name\":{deep}}}}}");
            serde_json::from_str::<MessageHeader>(&known).unwrap_err();
            // serde_json skips unknown fields without recursion.
            let _ = serde_json::from_str::<MessageHeader>(&format!("{begin},\"unknown\":{deep}}}"));
        }
    });
}
