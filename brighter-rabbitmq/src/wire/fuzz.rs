//! What the fuzz target runs, and a test for some thousands of inputs.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use lapin::protocol::basic::parse_properties;

use super::{Original, for_retry, header_bytes, message, set_aside};
use brighter_core::channel::{Rejection, RejectionKind};

/// The class, the weight, and the size of the body stand before the properties.
const BEFORE_PROPERTIES: usize = 2 + 2 + 8;

/// Reads the payload of an AMQP content header frame with a body behind it, and writes every copy of what it
/// reads. Not for people: it is the entry of the fuzz target.
///
/// # Panics
/// If anything does, which is what the fuzz target looks for.
#[doc(hidden)]
#[allow(clippy::expect_used, reason = "a panic is how it tells what it found")]
pub fn fuzz_wire(bytes: &[u8]) {
    let Some(properties) = bytes.get(BEFORE_PROPERTIES..) else {
        return;
    };
    let Ok((body, properties)) = parse_properties(properties) else {
        return;
    };
    let original = Original {
        routing_key: "queue".into(),
        properties,
        body: Bytes::copy_from_slice(body),
    };
    let rejection = Rejection::new(RejectionKind::Invalid, "fuzzed");
    for limit in [4096, usize::MAX] {
        let aside = set_aside(&original, &rejection, UNIX_EPOCH, limit);
        assert!(header_bytes(&aside) <= limit, "it leaves room");
    }
    let Ok(read) = message(&original) else { return };
    let copy = Original {
        properties: for_retry(&original, &read).expect("what was read is written"),
        ..original
    };
    let again = message(&copy).expect("what was written is read");
    assert_eq!(again.header.id, read.header.id);
    assert_eq!(again.header.topic, read.header.topic);
    assert_eq!(again.header.trace, read.header.trace);
    assert_eq!(again.body, read.body);
}
