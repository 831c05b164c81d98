//! The JSON mapper: what others write, and what we write.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use brighter::mapper::{JsonMapper, MapError, MessageMapper};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::{Message, MessageId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Target;
use crate::seed::{Seed, json_bodies};

/// What comes is read or refused; what was read can be posted, and arrives as it was.
pub(crate) const IN: Target = Target {
    name: "json_in",
    run: read,
    seeds: json_bodies,
};

/// What `post` accepts arrives as it was.
pub(crate) const OUT: Target = Target {
    name: "json_out",
    run: written,
    seeds: out_seeds,
};

/// A request with a field of every kind that serde tells apart in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(default)]
pub(crate) struct Rich {
    pub(crate) text: String,
    pub(crate) letter: char,
    pub(crate) number: Bits,
    pub(crate) small: f32,
    pub(crate) int: i64,
    pub(crate) count: u64,
    pub(crate) wide: i128,
    pub(crate) maybe: Option<Bits>,
    pub(crate) pair: (bool, u8),
    pub(crate) list: Vec<Rich>,
    pub(crate) map: BTreeMap<String, Vec<Bits>>,
    pub(crate) numbered: BTreeMap<u16, String>,
    pub(crate) kind: Kind,
}

impl Default for Rich {
    fn default() -> Self {
        Self {
            text: String::new(),
            letter: 'x',
            number: Bits(0.0),
            small: 0.0,
            int: 0,
            count: 0,
            wide: 0,
            maybe: None,
            pair: (false, 0),
            list: Vec::new(),
            map: BTreeMap::new(),
            numbered: BTreeMap::new(),
            kind: Kind::Plain,
        }
    }
}

/// A number that is another one if any of its bits is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Arbitrary)]
pub(crate) struct Bits(pub(crate) f64);

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// Each form of a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Arbitrary)]
pub(crate) enum Kind {
    Plain,
    Wrapped(String),
    Pair(i8, Option<Bits>),
    Named { x: u32, y: Option<Box<Rich>> },
}

pub(crate) fn header() -> MessageHeader {
    MessageHeader::new(MessageId::from("id"), "Topic", MessageType::Event)
}

fn read(bytes: &[u8]) {
    let came = Message::new(header(), MessageBody::new(bytes.to_vec()));
    let value: Result<Value, MapError> = JsonMapper.to_request(&came);
    if let Ok(value) = value {
        arrives(&value);
    }
    let rich: Result<Rich, MapError> = JsonMapper.to_request(&came);
    if let Ok(rich) = rich {
        arrives(&rich);
    }
}

/// Posts what can be posted.
fn arrives<R: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug>(request: &R) {
    let message = JsonMapper.to_message(request, header());
    let message = message.expect("what was read can be written");
    let again: R = JsonMapper
        .to_request(&message)
        .expect("what was written can be read");
    assert!(again == *request, "{again:?} arrived, and {request:?} was sent");
}

fn written(bytes: &[u8]) {
    let Ok(request) = Rich::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    // Whatever JSON cannot say, or nests too deep to be read again, is refused.
    if let Ok(message) = JsonMapper.to_message(&request, header()) {
        let again: Rich = JsonMapper
            .to_request(&message)
            .expect("what was accepted can be read");
        assert!(again == request, "{again:?} arrived, and {request:?} was sent");
    }
}

fn out_seeds() -> Vec<Seed> {
    // `arbitrary` reads them as a recipe: numbers, lengths and texts.
    let rising: Vec<u8> = (0..=255).collect();
    vec![
        Seed::new("nothing", []),
        Seed::new("zeros", vec![0; 256]),
        Seed::new("ones", vec![1; 4_096]),
        Seed::new("not-numbers", vec![0xFF; 4_096]),
        Seed::new("rising", rising.repeat(64)),
        Seed::new(
            "infinite",
            [&[0; 8][..], &f64::INFINITY.to_le_bytes()].concat().repeat(64),
        ),
    ]
}
