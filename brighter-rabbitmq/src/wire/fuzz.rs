//! The bodies of the fuzz targets, and a test with some thousands of inputs.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use lapin::protocol::basic::parse_properties;
use lapin::protocol::parse_class;
use lapin::types::FieldTable;

use super::value::is_nested_deeper;
use super::{NestingLimit, Original, for_retry, header_bytes, message, set_aside};
use brighter_core::channel::{Rejection, RejectionKind};

/// The bytes before the properties: the class, the weight, and the size of the body.
const BEFORE_PROPERTIES: usize = 2 + 2 + 8;
/// The bytes around a payload: the type, the channel and the size of the frame before it, and one byte after it.
const FRAME_START: usize = 7;
const FRAME_END: u8 = 0xCE;

/// Reads the payload of an AMQP content header frame with a body behind it, and writes every copy of the result. It is
/// the entry of the fuzz target.
///
/// # Panics
/// Panics if any step does, which is what the fuzz target looks for.
#[doc(hidden)]
#[allow(clippy::expect_used, reason = "a panic is how it tells what it found")]
pub fn fuzz_wire(bytes: &[u8]) {
    // Limited as the bytes from the socket are; otherwise lapin would overflow the stack.
    let mut framed = frame(2, bytes);
    NestingLimit::default().apply(&mut framed);
    let Some(properties) = payload(&framed).get(BEFORE_PROPERTIES..) else {
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

/// Passes the data of a broker through the nesting limit, whole and in pieces, and parses the result as lapin does. It
/// is the entry of a fuzz target.
///
/// The first byte is the size of the pieces. If the second byte is even, the stream follows. Otherwise a recipe follows
/// for a frame that is nested deeper than a fuzzer reaches: see [`deep_stream`].
///
/// # Panics
/// Panics if any step does, or overflows the stack, which is what the fuzz target looks for.
#[doc(hidden)]
pub fn fuzz_nesting(bytes: &[u8]) {
    let [piece, is_recipe, rest @ ..] = bytes else {
        return;
    };
    let stream = if is_recipe % 2 == 0 {
        rest.to_vec()
    } else {
        deep_stream(rest)
    };
    let mut limited = stream.clone();
    NestingLimit::default().apply(&mut limited);
    for (before, after) in stream.iter().zip(&limited) {
        let is_cut = matches!(before, b'F' | b'A') && *after == b'x';
        assert!(before == after || is_cut, "{before} became {after}");
    }
    let mut in_pieces = stream;
    let mut limit = NestingLimit::default();
    for piece in in_pieces.chunks_mut(usize::from(*piece) + 1) {
        limit.apply(piece);
    }
    assert!(in_pieces == limited, "pieces make a difference");
    parse_frames(&limited);
}

/// Builds a frame from a recipe: two bytes for its depth, one that selects the levels that are lists, one for the kind
/// of frame. Then changes follow, of four bytes each: the position and the new byte.
fn deep_stream(recipe: &[u8]) -> Vec<u8> {
    let [high, low, lists, kind, changes @ ..] = recipe else {
        return Vec::new();
    };
    let levels = (0..u16::from_be_bytes([*high, *low])).map(|level| lists >> (level % 8) & 1 == 1);
    let table = deep_table(&levels.collect::<Vec<_>>());
    let mut stream = if kind % 2 == 0 {
        frame(2, &header_payload(&table))
    } else {
        // The greeting of a server: its class, method and version.
        frame(1, &[&[0, 10, 0, 10, 0, 9][..], &table].concat())
    };
    for change in changes.chunks_exact(4) {
        let place = u32::from_be_bytes([0, change[0], change[1], change[2]]);
        let length = stream.len();
        if let Some(byte) = stream.get_mut(place as usize % length) {
            *byte = change[3];
        }
    }
    stream
}

/// Returns the payload of a content header frame whose tables are nested so deep. Not for people: it is a seed of the
/// fuzz target.
#[doc(hidden)]
pub fn deep_header(levels: usize) -> Vec<u8> {
    header_payload(&deep_table(&vec![false; levels]))
}

/// Returns a frame of this type and payload.
pub(super) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[kind, 0, 1][..], &size, payload, &[FRAME_END]].concat()
}

/// Returns the payload of a content header frame with only these headers.
pub(super) fn header_payload(table: &[u8]) -> Vec<u8> {
    [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0][..], table].concat()
}

/// Returns a table with one value of nested tables and lists. `is_list` selects the levels that are lists, the
/// outermost first.
pub(super) fn deep_table(is_list: &[bool]) -> Vec<u8> {
    // Built from its end, because a length is known once its content is complete.
    let mut backwards = Vec::new();
    let push_length = |backwards: &mut Vec<u8>| {
        let length = u32::try_from(backwards.len()).unwrap_or(u32::MAX);
        backwards.extend(length.to_le_bytes());
    };
    for (level, is_list_here) in is_list.iter().enumerate().rev() {
        push_length(&mut backwards);
        backwards.push(if *is_list_here { b'A' } else { b'F' });
        let is_in_table = level == 0 || !is_list[level - 1];
        if is_in_table {
            // The length of its name, which is empty.
            backwards.push(0);
        }
    }
    push_length(&mut backwards);
    backwards.reverse();
    backwards
}

/// Returns the payload of a frame.
fn payload(frame: &[u8]) -> &[u8] {
    &frame[FRAME_START..frame.len() - 1]
}

/// Parses frames until one is invalid.
fn parse_frames(mut stream: &[u8]) {
    while let [kind, _, _, s3, s2, s1, s0, rest @ ..] = stream {
        let size = u32::from_be_bytes([*s3, *s2, *s1, *s0]) as usize;
        let (Some(payload), Some(&FRAME_END)) = (rest.get(..size), rest.get(size)) else {
            return;
        };
        let is_sound = match kind {
            1 => parse_class(payload).is_ok(),
            2 => match parse_properties(payload.get(BEFORE_PROPERTIES..).unwrap_or_default()) {
                Ok((_, properties)) => {
                    let headers = properties.headers().as_ref();
                    assert!(headers.is_none_or(passes), "it passed, though nested deeper");
                    true
                }
                Err(_) => false,
            },
            3 | 8 => true,
            _ => false,
        };
        if !is_sound {
            return;
        }
        stream = &rest[size + 1..];
    }
}

fn passes(headers: &FieldTable) -> bool {
    let mut values = headers.inner().values();
    !values.any(|value| is_nested_deeper(value, super::nesting::LEVELS_THAT_PASS))
}
