//! The fuzz target with some thousands of inputs, the same every time.

use brighter_test_inputs::for_each_change;

use super::super::fuzz::fuzz_wire;
use super::*;

const INPUTS: usize = 20_000;

/// Returns the payload of a content header frame, with the body behind it.
fn frame(properties: &BasicProperties) -> Vec<u8> {
    let mut frame = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4].to_vec();
    frame.extend(properties::bytes(properties));
    frame.extend(b"body");
    frame
}

#[test]
fn whatever_comes_does_not_panic() {
    let seeds = [
        frame(&super::properties(&a_message()).unwrap()),
        frame(
            &with_headers(&[
                (
                    "x-death",
                    AMQPValue::FieldArray(FieldArray::from(vec![text("a")])),
                ),
                ("HandledCount", text("5")),
                ("x-original-message-id", text("first")),
                ("table", AMQPValue::FieldTable(FieldTable::default())),
            ])
            .properties,
        ),
        frame(
            &BasicProperties::default()
                .with_reply_to("a".into())
                .with_expiration("1".into()),
        ),
        vec![0; 64],
    ];
    let seeds = seeds.each_ref().map(Vec::as_slice);
    for_each_change(&seeds, INPUTS, |_, bytes| fuzz_wire(bytes));
}
