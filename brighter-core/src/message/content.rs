//! What a body says, however it is written: [`digest`].

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

use super::media_type;
use crate::json_text::{numbers_come_as_text, without_mark};

/// The attributes of a CloudEvents envelope that describe its sending, and not its content.
const OF_THE_SENDING: [&str; 4] = ["id", "time", "traceparent", "tracestate"];

/// Returns a number that is the same for two bodies of JSON that say the same: the order of members, white space, a byte
/// order mark, how numbers and texts are spelt and members that are null make no difference. It is the same in every
/// version and on every machine.
///
/// `None` for what is not JSON, by its content type or because it cannot be read; and for a number so large that its
/// digits might be more than were read.
pub(crate) fn digest(content_type: &str, body: &[u8]) -> Option<u64> {
    let kind = media_type::kind(content_type);
    if kind == media_type::MediaKind::Other {
        return None;
    }
    let mut json = Deserializer::from_slice(without_mark(body));
    let seed = ValueSeed {
        is_envelope: kind == media_type::MediaKind::CloudEvents,
        numbers_come_as_text: numbers_come_as_text(),
    };
    let digest = seed.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(digest.0)
}

/// FNV-1a with 64 bits.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

/// Spreads the bits, by the last step of SplitMix64: the digests of members are added up.
fn spread(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digest(u64);

/// The kind of value that a digest is of.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
enum Tag {
    Null = 1,
    Bool,
    Int,
    Float,
    Text,
    List,
    Object,
}

impl Digest {
    fn of(tag: Tag, number: u64) -> Self {
        Self(spread(spread(tag as u64).wrapping_add(number)))
    }

    fn null() -> Self {
        Self::of(Tag::Null, 0)
    }

    fn int(number: i128) -> Self {
        Self::of(Tag::Int, fnv(&number.to_le_bytes()))
    }

    fn float<E: de::Error>(number: f64) -> Result<Self, E> {
        /// Up to here every whole number is one.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract() != 0.0 {
            return Ok(Self::of(Tag::Float, number.to_bits()));
        }
        if number.abs() > EXACT {
            return Err(E::custom("a number whose digits may be more than were read"));
        }
        Ok(Self::int(number as i128))
    }

    /// The digest of a number that came as text.
    fn number<E: de::Error>(text: &str) -> Result<Self, E> {
        match text.parse() {
            Ok(whole) => Ok(Self::int(whole)),
            Err(_) => Self::float(text.parse().map_err(E::custom)?),
        }
    }

    fn text(text: &str) -> Self {
        Self::of(Tag::Text, fnv(text.as_bytes()))
    }
}

#[derive(Clone, Copy)]
struct ValueSeed {
    is_envelope: bool,
    numbers_come_as_text: bool,
}

impl ValueSeed {
    /// Returns the seed of a value within this one, which is no envelope.
    fn within(self) -> Self {
        Self {
            is_envelope: false,
            ..self
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Digest;

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<Digest, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Digest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Digest, E> {
        Ok(Digest::null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<Digest, E> {
        Ok(Digest::of(Tag::Bool, value.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Digest, E> {
        Ok(Digest::int(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Digest, E> {
        Ok(Digest::int(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Digest, E> {
        Digest::float(number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Digest, E> {
        Ok(Digest::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Digest, A::Error> {
        let mut all = 0_u64;
        while let Some(Digest(item)) = list.next_element_seed(self.within())? {
            all = spread(all.wrapping_add(item));
        }
        Ok(Digest::of(Tag::List, all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Digest, A::Error> {
        let mut all = 0_u64;
        while let Some(name) = object.next_key_seed(NameSeed(self))? {
            let name = match name {
                Name::Number => return Digest::number(&object.next_value::<Cow<'_, str>>()?),
                Name::PassedOver => {
                    object.next_value::<IgnoredAny>()?;
                    continue;
                }
                Name::Counted(Digest(name)) => name,
            };
            let value = object.next_value_seed(self.within())?;
            if value != Digest::null() {
                all = all.wrapping_add(spread(name ^ value.0.rotate_left(32)));
            }
        }
        Ok(Digest::of(Tag::Object, all))
    }
}

/// The name of a member.
enum Name {
    Counted(Digest),
    /// A member whose value makes no difference.
    PassedOver,
    /// serde_json's own, behind which a number stands as text.
    Number,
}

struct NameSeed(ValueSeed);

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Name;

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<Name, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(
            if self.0.numbers_come_as_text && name == "$serde_json::private::Number" {
                Name::Number
            } else if self.0.is_envelope && OF_THE_SENDING.contains(&name) {
                Name::PassedOver
            } else {
                Name::Counted(Digest::text(name))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::message::DEFAULT_CONTENT_TYPE;

    fn json(body: &str) -> Option<u64> {
        digest(DEFAULT_CONTENT_TYPE, body.as_bytes())
    }

    #[test]
    fn bodies_that_say_the_same_have_one_digest() {
        for (one, other) in [
            (
                r#"{"a":1,"b":[true,null]}"#,
                " { \"b\" : [ true, null ],\r\n\t\"a\": 1 } ",
            ),
            (r#"{"a":1}"#, "\u{feff}{\"a\":1}"),
            (r#"{"a":1}"#, r#"{"a":1,"added":null}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"c":null,"b":1}}"#),
            (r#"{"a":1.0,"b":1e3,"c":-0.0}"#, r#"{"a":1,"b":1000,"c":0}"#),
            (r#"{"a":0.5}"#, r#"{"a":5.00e-1}"#),
            (r#"{"ä":"é/\n"}"#, r#"{"\u00e4":"\u00e9\/\u000a"}"#),
        ] {
            assert!(json(one).is_some(), "{one}");
            assert_eq!(json(one), json(other), "{one} and {other}");
        }
    }

    #[test]
    fn bodies_that_say_something_else_have_another_digest() {
        let bodies = [
            "null",
            "true",
            "false",
            "0",
            "1",
            "1.5",
            "-1",
            "\"1\"",
            "\"\"",
            "[]",
            "{}",
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "[[],1,2]",
            "[null]",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":"b"}"#,
            r#"{"b":"a"}"#,
            r#"{"a":[{"b":1},{"c":2}]}"#,
            r#"{"a":[{"c":2},{"b":1}]}"#,
            r#"{"a":0}"#,
            r#"{"a":""}"#,
            r#"{"a":false}"#,
            r#"{"a":[]}"#,
            "18446744073709551615",
            "18446744073709551614",
            "9007199254740993",
            "9007199254740992",
        ];
        for (index, one) in bodies.iter().enumerate() {
            for other in &bodies[index + 1..] {
                assert_ne!(json(one), json(other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn inexact_content_has_no_digest() {
        for body in [
            "",
            "{",
            "{} {}",
            "\u{feff}\u{feff}1",
            "340282366920938463463374607431768211455",
            "1e300",
        ] {
            // With all digits at hand the first of the numbers can be told.
            assert!(json(body).is_none() || numbers_come_as_text(), "{body}");
        }
        assert_eq!(digest("text/plain", b"1"), None);
        assert_eq!(digest("nonsense", b"1"), None);
        for content_type in [
            "application/json",
            "Application/JSON;a=b",
            "text/json",
            "application/x.y+json",
        ] {
            assert_eq!(digest(content_type, b"1"), json("1"), "{content_type}");
        }
    }

    #[test]
    fn envelope_fields_of_the_sending_do_not_change_the_digest() {
        let envelope = |id: &str, time: &str, amount: u32| {
            let body = json!({ "specversion": "1.0", "id": id, "time": time, "data": { "id": id, "amount": amount } });
            digest("application/cloudevents+json", body.to_string().as_bytes())
        };
        assert_eq!(
            envelope("a", "2026-01-01T00:00:00Z", 1),
            envelope("a", "2027-01-01T00:00:00Z", 1)
        );
        assert_ne!(
            envelope("a", "2026-01-01T00:00:00Z", 1),
            envelope("a", "2026-01-01T00:00:00Z", 2)
        );
        // Only of the envelope itself.
        assert_ne!(envelope("a", "", 1), envelope("b", "", 1));
        assert_ne!(json(r#"{"time":1}"#), json(r#"{"time":2}"#));
    }

    /// The digest is kept in databases.
    #[test]
    fn a_digest_stays_what_it_is() {
        let body = r#"{"id":"a","n":[1,-2,0.5,true,null,{"t":"ü"}]}"#;
        assert_eq!(json(body), Some(0xaee5_d222_c711_f743));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-d]{0,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(Map::from_iter(members))),
            ]
        })
    }

    /// Writes the value with the members of each object reversed and white space between all.
    fn other_way_round(value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(other_way_round).collect();
                format!("[ {} ]", items.join(" ,\n"))
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| {
                        format!("{} : {}", Value::from(name.as_str()), other_way_round(value))
                    })
                    .collect();
                members.reverse();
                format!("{{ {} }}", members.join(" ,\t"))
            }
            other => other.to_string(),
        }
    }

    /// Returns the value without members that are null.
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(without_nulls).collect(),
            Value::Object(members) => members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect(),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn a_digest_depends_on_the_value_alone(one in value(), other in value()) {
            let of_one = json(&one.to_string());
            prop_assert!(of_one.is_some());
            prop_assert_eq!(of_one, json(&other_way_round(&one)));
            let is_same = without_nulls(&one) == without_nulls(&other);
            prop_assert_eq!(of_one == json(&other.to_string()), is_same);
        }
    }
}
