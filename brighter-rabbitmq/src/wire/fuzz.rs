//! What the fuzz targets run, and a test for some thousands of inputs.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use lapin::protocol::basic::parse_properties;
use lapin::protocol::parse_class;
use lapin::types::FieldTable;

use super::value::is_nested_deeper;
use super::{NestingLimit, Original, for_retry, header_bytes, message, set_aside};
use brighter_core::channel::{Rejection, RejectionKind};

/// The class, the weight, and the size of the body stand before the properties.
const BEFORE_PROPERTIES: usize = 2 + 2 + 8;
/// The type, the channel and the size of a frame; the byte behind it.
const FRAME_START: usize = 7;
const FRAME_END: u8 = 0xCE;

/// Reads the payload of an AMQP content header frame with a body behind it, and writes every copy of what it
/// reads. Not for people: it is the entry of the fuzz target.
///
/// # Panics
/// If anything does, which is what the fuzz target looks for.
#[doc(hidden)]
#[allow(clippy::expect_used, reason = "a panic is how it tells what it found")]
pub fn fuzz_wire(bytes: &[u8]) {
    // As it comes from the socket, without which lapin would overflow the stack.
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

/// Sends what a broker may send through the limit of nesting, whole and in pieces, and parses what comes out as lapin
/// does. Not for people: it is the entry of a fuzz target.
///
/// The first byte says how large the pieces are. If the second is even, the stream follows; or else a recipe for a
/// frame that is nested so deep as no fuzzer comes to: see [`deep_stream`].
///
/// # Panics
/// If anything does, or the stack overflows, which is what the fuzz target looks for.
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

/// A frame by a recipe: two bytes for its depth, one that says which levels are lists, one for the kind of frame; then
/// changes, of four bytes each: where, and which byte is there instead.
fn deep_stream(recipe: &[u8]) -> Vec<u8> {
    let [high, low, lists, kind, changes @ ..] = recipe else {
        return Vec::new();
    };
    let levels = (0..u16::from_be_bytes([*high, *low])).map(|level| lists >> (level % 8) & 1 == 1);
    let table = deep_table(&levels.collect::<Vec<_>>());
    let mut stream = if kind % 2 == 0 {
        frame(2, &header_payload(&table))
    } else {
        // The greeting of a server: its class, its method, its version.
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

/// The frame of a type with a payload.
pub(super) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[kind, 0, 1][..], &size, payload, &[FRAME_END]].concat()
}

/// The payload of a content header frame with these headers, and with nothing else.
pub(super) fn header_payload(table: &[u8]) -> Vec<u8> {
    [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0][..], table].concat()
}

/// A table with one value, in which tables and lists are nested: a list where a level says so, the outermost first.
pub(super) fn deep_table(is_list: &[bool]) -> Vec<u8> {
    // From its end to its begin, for a length is known once all that it counts is there.
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

/// What is in a frame.
fn payload(frame: &[u8]) -> &[u8] {
    &frame[FRAME_START..frame.len() - 1]
}

/// Parses frames for as long as they make sense.
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
