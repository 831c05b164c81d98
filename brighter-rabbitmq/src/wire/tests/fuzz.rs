//! The fuzz target with some thousands of inputs, the same every time.

use super::super::fuzz::fuzz_wire;
use super::*;

const INPUTS: usize = 20_000;

/// Marsaglia's xorshift: reproducible random numbers.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// Returns the payload of a content header frame, with the body behind it.
fn frame(properties: &BasicProperties) -> Vec<u8> {
    let mut frame = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4].to_vec();
    frame.extend(properties::bytes(properties));
    frame.extend(b"body");
    frame
}

fn change(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(bytes.len());
    let byte = u8::try_from(chance.next() % 256).unwrap();
    match chance.below(5) {
        0 => bytes[at] = byte,
        1 => bytes[at] ^= 1 << (byte % 8),
        2 => bytes.insert(at, byte),
        3 => {
            bytes.remove(at);
        }
        _ => bytes.truncate(at),
    }
    if bytes.is_empty() {
        bytes.push(byte);
    }
}

#[test]
fn whatever_comes_does_not_panic() {
    let mut chance = Chance(0x5eed);
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
    for _ in 0..INPUTS {
        let mut bytes = seeds[chance.below(seeds.len())].clone();
        for _ in 0..=chance.below(6) {
            change(&mut bytes, &mut chance);
        }
        fuzz_wire(&bytes);
    }
}
