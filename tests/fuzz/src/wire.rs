//! What a broker may send over AMQP.

use brighter_rabbitmq::__private::{deep_header, fuzz_nesting, fuzz_wire};

use crate::Target;
use crate::seed::{DEEP, Seed};

/// The headers of a message are read or refused, and every copy of what is read can be read again.
pub(crate) const WIRE: Target = Target {
    name: "wire",
    run: fuzz_wire,
    seeds: wire_seeds,
};

/// However deep the tables of a frame are nested, lapin parses them without a deep stack.
pub(crate) const NESTING: Target = Target {
    name: "nesting",
    run: fuzz_nesting,
    seeds: nesting_seeds,
};

/// The payload of a content header frame without properties, and with a body behind it.
const BARE: &[u8] = &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, b'b', b'o', b'd', b'y'];

fn wire_seeds() -> Vec<Seed> {
    let deep = [1, 31, 32, 33, 500, 5_000, DEEP].map(|levels| {
        let name = format!("tables-{levels}");
        Seed::new(&name, deep_header(levels))
    });
    let mut seeds = vec![Seed::new("bare", BARE), Seed::new("text", text_properties())];
    seeds.extend(deep);
    seeds
}

/// Every property of a message that is a text, and a table with one of each kind of value.
fn text_properties() -> Vec<u8> {
    let mut table = Vec::new();
    let values: [(&str, &[u8]); 8] = [
        ("Topic", b"S\0\0\0\x01t"),
        ("MessageType", b"S\0\0\0\x08MT_EVENT"),
        ("HandledCount", b"I\0\0\0\x02"),
        ("flag", b"t\x01"),
        ("float", b"d\x3f\xf8\0\0\0\0\0\0"),
        ("time", b"T\0\0\0\0\x68\0\0\0"),
        ("list", b"A\0\0\0\x02t\0"),
        ("x-delivery-count", b"l\0\0\0\0\0\0\0\x05"),
    ];
    for (name, value) in values {
        table.push(u8::try_from(name.len()).unwrap());
        table.extend(name.as_bytes());
        table.extend(value);
    }
    // Content type, encoding, headers, delivery mode, priority, correlation id, reply to, expiration, id, time, type,
    // user, application.
    let mut bytes = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0xFF, 0xF8];
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.push(u8::try_from(text.len()).unwrap());
        bytes.extend(text.as_bytes());
    };
    text(&mut bytes, "application/json");
    text(&mut bytes, "utf-8");
    bytes.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
    bytes.extend(table);
    bytes.extend([2, 5]);
    for value in [
        "correlation",
        "replies",
        "1000",
        "0197a0b0-0000-7000-8000-000000000000",
    ] {
        text(&mut bytes, value);
    }
    bytes.extend(1_800_000_000_u64.to_be_bytes());
    for value in ["type", "guest", "app"] {
        text(&mut bytes, value);
    }
    bytes.extend(b"body");
    bytes
}

fn nesting_seeds() -> Vec<Seed> {
    // The size of the pieces, an odd number, and the recipe: how deep, which levels are lists, and the kind of frame.
    let recipe = |levels: u16, lists, kind| {
        let [high, low] = levels.to_be_bytes();
        let name = format!("recipe-{levels}-{lists}-{kind}");
        Seed::new(&name, [0x10, 1, high, low, lists, kind])
    };
    vec![
        recipe(u16::MAX, 0x55, 0),
        recipe(u16::MAX, 0, 1),
        recipe(18_000, 0xFF, 0),
        recipe(33, 0, 0),
        recipe(32, 0x55, 1),
        Seed::new("stream", BARE).after(&[2, 0, 0, 1, 0, 0, 0, 18]),
    ]
}
