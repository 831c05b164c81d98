//! The deepest nesting that fits in a frame is parsed without a deep stack, and all else is unchanged.

use std::thread;

use brighter_test_inputs::Chance;
use lapin::protocol::basic::parse_properties;
use lapin::protocol::connection::AMQPMethod;
use lapin::protocol::{AMQPClass, parse_class};
use lapin::types::ByteArray;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::properties::{bytes, nested, table};
use super::*;
use crate::wire::fuzz::{deep_table, frame, fuzz_nesting, header_payload};
use crate::wire::nesting::{LEVELS_THAT_PASS, MAX_LEVELS};

/// A quarter of the default stack of a thread.
const SMALL_STACK: usize = 512 * 1024;
/// The largest payload of a frame by the broker's default.
const LARGEST_PAYLOAD: usize = 128 * 1024 - 8;

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(SMALL_STACK).spawn(test);
    if let Err(panic) = thread.unwrap().join() {
        std::panic::resume_unwind(panic);
    }
}

/// Selects the levels that are lists.
type Pattern = fn(usize) -> bool;
const PATTERNS: [Pattern; 4] = [|_| false, |_| true, |level| level % 2 == 0, |level| level % 7 < 3];

fn levels(depth: usize, pattern: Pattern) -> Vec<bool> {
    (0..depth).map(pattern).collect()
}

/// Returns the deepest nesting that fits in a frame.
fn deepest(pattern: Pattern) -> usize {
    let fits = |depth: &usize| header_payload(&deep_table(&levels(*depth, pattern))).len() <= LARGEST_PAYLOAD;
    let depths: Vec<usize> = (0..LARGEST_PAYLOAD / 5).collect();
    depths.partition_point(fits) - 1
}

/// Returns the payload of a frame after the limit was applied.
fn limited(mut frame: Vec<u8>) -> Vec<u8> {
    NestingLimit::default().apply(&mut frame);
    frame[7..frame.len() - 1].to_vec()
}

#[test]
fn deep_messages_are_read_or_refused_on_a_small_stack() {
    on_a_small_stack(|| {
        for pattern in PATTERNS {
            let depths = [
                0,
                1,
                MAX_LEVELS - 1,
                MAX_LEVELS,
                MAX_LEVELS + 1,
                MAX_LEVELS + 2,
                500,
                1_000,
                5_000,
                18_000,
                deepest(pattern),
            ];
            assert!(depths.is_sorted(), "{depths:?}");
            for depth in depths {
                let came = header_payload(&deep_table(&levels(depth, pattern)));
                let passed = limited(frame(2, &came));
                let changed = came.iter().zip(&passed).filter(|(came, passed)| came != passed);
                let changed = changed.count();
                // Levels within bytes no longer count.
                assert_eq!(changed, usize::from(depth > LEVELS_THAT_PASS), "{depth}");
                let (rest, properties) = parse_properties(&passed[12..]).unwrap();
                assert!(rest.is_empty());
                let there = original(properties);
                match message(&there) {
                    Ok(read) => assert!(depth <= MAX_LEVELS && read.header.bag.is_empty(), "{depth}"),
                    Err(reason) => {
                        assert!(depth > MAX_LEVELS, "{depth}: {reason}");
                        assert_eq!(
                            reason,
                            "the header \"\" holds tables or lists nested more than 32 deep"
                        );
                    }
                }
                let rejection = Rejection::new(RejectionKind::Invalid, "too deep");
                let aside = set_aside(&there, &rejection, UNIX_EPOCH, LARGEST_PAYLOAD);
                // The copy fits in a frame, and has all headers, except for the largest that a frame can hold.
                let is_kept = header(&aside, "").is_some();
                assert_eq!(is_kept, (1..=18_000).contains(&depth), "{depth}");
                let reason = value::lenient(header(&aside, "rejectionMessage"));
                assert!(reason.starts_with("too deep"), "{reason}");
                assert!(bytes(&aside).len() <= LARGEST_PAYLOAD);
            }
        }
    });
}

#[test]
fn method_tables_are_parsed_on_a_small_stack() {
    let methods: [(u16, u16, &[u8], &[u8]); 9] = [
        (10, 10, &[0, 9], b"\0\0\0\0\0\0\0\0"),
        (10, 11, &[], b"\x05PLAIN\0\0\0\0\0"),
        (
            40,
            10,
            &[0, 0, 1, b'e', 6, b'd', b'i', b'r', b'e', b'c', b't', 0],
            &[],
        ),
        (40, 30, &[0, 0, 1, b'e', 1, b's', 0, 0], &[]),
        (40, 40, &[0, 0, 1, b'e', 1, b's', 0, 0], &[]),
        (50, 10, &[0, 0, 1, b'q', 0], &[]),
        (50, 20, &[0, 0, 1, b'q', 1, b'e', 0, 0], &[]),
        (50, 50, &[0, 0, 1, b'q', 1, b'e', 0], &[]),
        (60, 20, &[0, 0, 1, b'q', 0, 0], &[]),
    ];
    on_a_small_stack(move || {
        for (class, method, before, behind) in methods {
            for pattern in PATTERNS {
                let deep = deep_table(&levels(18_000, pattern));
                let ids = [class.to_be_bytes(), method.to_be_bytes()].concat();
                let payload = [&ids, before, &deep, behind].concat();
                let passed = limited(frame(1, &payload));
                let (rest, parsed) = parse_class(&passed[..]).unwrap();
                assert!(rest.is_empty(), "{class}.{method}");
                assert_eq!(parsed.get_amqp_class_id(), class);
                if let AMQPClass::Connection(AMQPMethod::Start(start)) = parsed {
                    assert_eq!(start.server_properties.inner().len(), 1);
                }
            }
        }
    });
}

/// A deep frame may also be invalid: lapin then stops with an error, and not by a stack overflow.
#[test]
fn deep_nonsense_is_parsed_on_a_small_stack() {
    on_a_small_stack(|| {
        let mut chance = Chance::new(0xdeed);
        for _ in 0..300 {
            let depth = u16::try_from(chance.below(20_000)).unwrap().to_be_bytes();
            let mut recipe = vec![chance.byte(), 1, depth[0], depth[1]];
            for _ in 0..2 + 4 * chance.below(8) {
                recipe.push(chance.byte());
            }
            fuzz_nesting(&recipe);
            let stream = (0..chance.below(2_000)).map(|_| chance.byte());
            fuzz_nesting(&[0, 0].into_iter().chain(stream).collect::<Vec<_>>());
        }
    });
}

/// Returns the value after the limit: bytes in place of what is nested too deep.
fn cut(value: AMQPValue, levels: usize) -> AMQPValue {
    match (value, levels.checked_sub(1)) {
        (AMQPValue::FieldArray(list), Some(levels)) => {
            let cut_all = list.as_slice().iter().map(|value| cut(value.clone(), levels));
            AMQPValue::FieldArray(cut_all.collect::<Vec<_>>().into())
        }
        (AMQPValue::FieldTable(inner), Some(levels)) => AMQPValue::FieldTable(cut_table(&inner, levels)),
        (inner @ (AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_)), None) => {
            let alone = table([(String::new(), inner)].into());
            let written = bytes(&BasicProperties::default().with_headers(alone));
            // The flags, the length of the headers, the empty name, the type, and the length come before it.
            AMQPValue::ByteArray(ByteArray::from(written[2 + 4 + 1 + 1 + 4..].to_vec()))
        }
        (other, _) => other,
    }
}

fn cut_table(inner: &FieldTable, levels: usize) -> FieldTable {
    let entries = inner.inner().iter();
    let entries = entries.map(|(name, value)| (name.to_string(), cut(value.clone(), levels)));
    table(entries.collect())
}

fn properties_with(headers: Option<FieldTable>, texts: u8) -> BasicProperties {
    let mut properties = BasicProperties::default()
        .with_priority(7)
        .with_message_id("id".into());
    if texts & 1 != 0 {
        properties = properties.with_content_type("text/plain".into());
    }
    if texts & 2 != 0 {
        properties = properties.with_content_encoding("gzip".into());
    }
    match headers {
        Some(headers) => properties.with_headers(headers),
        None => properties,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Only values that are nested too deep are changed, in frames of every kind and in any pieces.
    #[test]
    fn all_that_is_not_too_deep_passes_unchanged(
        messages in vec(
            (
                proptest::option::of(btree_map("[a-z]{0,4}", nested(6), 0..4).prop_map(table)),
                0..4_u8,
                vec(any::<u8>(), 0..60),
            ),
            1..5,
        ),
        sizes in vec(1..40_usize, 1..30),
        levels in 0..4_usize,
    ) {
        let stream = |change: &dyn Fn(&FieldTable) -> FieldTable| {
            let mut stream = b"AMQP\0\0\x09\x01".to_vec();
            for (headers, texts, body) in &messages {
                let headers = headers.as_ref().map(change);
                let content = [&[0; 12][..], &bytes(&properties_with(headers, *texts))].concat();
                // An ack, long enough to be parsed.
                stream.extend(frame(1, &[&[0, 60, 0, 80][..], &[b'F'; 40]].concat()));
                stream.extend(frame(2, &content));
                stream.extend(frame(3, body));
                stream.extend(frame(8, &[]));
            }
            stream
        };
        let mut passed = stream(&FieldTable::clone);
        let mut limit = NestingLimit::of(levels);
        let mut rest = &mut passed[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at_mut((*size).min(rest.len()));
            limit.apply(piece);
            rest = behind;
        }
        let expected = stream(&|headers| cut_table(headers, levels));
        prop_assert_eq!(passed, expected);
    }
}
