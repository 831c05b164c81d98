//! What is written must be what serde_json writes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use serde::Serialize;

use super::*;
use crate::mapper::JsonError;

/// As both write it.
fn ours<T: Serialize + ?Sized>(value: &T) -> String {
    let ours = String::from_utf8(write(Vec::new(), value).unwrap()).unwrap();
    assert_eq!(ours, serde_json::to_string(value).unwrap());
    ours
}

#[derive(Debug, Clone, Serialize)]
struct Unit;

#[derive(Debug, Clone, Serialize)]
struct Newtype(String);

#[derive(Debug, Clone, Serialize)]
struct Pair(String, f64);

#[derive(Debug, Clone, Serialize)]
enum Shape {
    Unit,
    Newtype(String),
    Tuple(String, Option<String>),
    Struct { text: String, list: Vec<Newtype> },
}

#[derive(Debug, Clone, Serialize)]
struct Whole {
    shapes: Vec<Shape>,
    by_text: BTreeMap<String, Option<String>>,
    by_number: BTreeMap<i64, Pair>,
    #[serde(flatten)]
    more: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    perhaps: Option<Box<Whole>>,
    letter: char,
    numbers: (i8, u8, i16, u16, i32, u32, i64, u64, i128, u128, f32, bool),
    units: (Unit, ()),
}

/// Of texts with nothing to escape, with something, and of those that are too short to look at together.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,80}",
        "[a-zäß€😀]{0,600}",
        ".{0,40}",
        "[a-z]{200}[\\x00-\\x1f\"\\\\]?[a-z]{100}"
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Unit),
        text().prop_map(Shape::Newtype),
        (text(), prop::option::of(text())).prop_map(|(text, other)| Shape::Tuple(text, other)),
        (text(), prop::collection::vec(text().prop_map(Newtype), 0..3))
            .prop_map(|(text, list)| Shape::Struct { text, list }),
    ]
}

fn whole() -> impl Strategy<Value = Whole> {
    let by_text = prop::collection::btree_map(text(), prop::option::of(text()), 0..3);
    let pair = (text(), any::<f64>()).prop_map(|(text, number)| Pair(text, number));
    let by_number = prop::collection::btree_map(any::<i64>(), pair, 0..3);
    let more = prop::collection::btree_map(text(), text(), 0..2);
    let numbers = (
        any::<(i8, u8, i16, u16, i32, u32)>(),
        any::<(i64, u64, i128, u128, f32, bool)>(),
    );
    (
        prop::collection::vec(shape(), 0..4),
        by_text,
        by_number,
        more,
        any::<char>(),
        numbers,
    )
        .prop_map(
            |(shapes, by_text, by_number, more, letter, ((a, b, c, d, e, f), (g, h, i, j, k, l)))| Whole {
                shapes,
                by_text,
                by_number,
                more,
                perhaps: None,
                letter,
                numbers: (a, b, c, d, e, f, g, h, i, j, k, l),
                units: (Unit, ()),
            },
        )
}

proptest! {
    #[test]
    fn everything_is_written_as_serde_json_writes_it(mut outer in whole(), inner in whole()) {
        outer.perhaps = Some(Box::new(inner));
        ours(&outer);
    }
}

#[test]
fn only_texts_that_need_it_are_escaped() {
    let plain = "ä plain text that is long enough to be copied".to_owned();
    assert_eq!(ours(&plain), format!("\"{plain}\""));
    for escaped in ['"', '\\', '\n', '\0', '\u{1f}'] {
        for at in [0, 20, plain.len()] {
            let mut text = plain.clone();
            text.insert(text.ceil_char_boundary(at), escaped);
            assert!(ours(&text).contains('\\'));
        }
    }
    for length in 0..300 {
        ours(&"x".repeat(length));
    }
}

#[test]
fn unwritable_values_stay_errors() {
    let by_list = BTreeMap::from([(vec!["a key must be a text"], 1)]);
    assert_eq!(
        write(Vec::new(), &by_list).unwrap_err().to_string(),
        serde_json::to_string(&by_list).unwrap_err().to_string()
    );
}

fn refused<T: Serialize + ?Sized>(value: &T) -> JsonError {
    let error = write(Vec::new(), value).unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    source
        .downcast_ref::<JsonError>()
        .unwrap_or_else(|| panic!("{error}"))
        .clone()
}

#[test]
fn a_number_outside_json_is_refused_with_its_place() {
    #[derive(Serialize)]
    struct Line {
        price: Option<f64>,
        share: f32,
    }
    #[derive(Serialize)]
    struct Order {
        lines: Vec<Line>,
        #[serde(flatten)]
        more: BTreeMap<String, f64>,
    }
    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Shape {
        Circle { radius: f64 },
    }
    let order = |price, share, more| Order {
        lines: vec![
            Line {
                price: Some(1.0),
                share: 0.5,
            },
            Line { price, share },
        ],
        more: BTreeMap::from([("more".to_owned(), more)]),
    };
    ours(&order(None, f32::MAX, f64::MIN_POSITIVE));
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (refused, place) in [
            (refused(&order(Some(wrong), 0.5, 1.0)), "lines.price"),
            (refused(&order(None, wrong as f32, 1.0)), "lines.share"),
            (refused(&order(None, 0.5, wrong)), "more"),
            (refused(&Shape::Circle { radius: wrong }), "radius"),
            (refused(&wrong), ""),
            (refused(&[Some((1, wrong))]), ""),
        ] {
            let JsonError::NotFinite { field, number } = refused else {
                panic!("{refused}")
            };
            assert_eq!((field.as_str(), number.to_bits()), (place, wrong.to_bits()));
        }
    }
    let said = refused(&order(Some(f64::NAN), 0.5, 1.0)).to_string();
    assert!(
        said.starts_with("JSON has no number NaN, which is in `lines.price`: "),
        "{said}"
    );
    // As keys serde_json refuses them itself.
    struct Key;
    impl Serialize for Key {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_f64(f64::NAN)
        }
    }
    write(Vec::new(), &PairOf(Key)).unwrap_err();
}

/// A map of one entry.
struct PairOf<K>(K);

impl<K: Serialize> Serialize for PairOf<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.0, &1)?;
        map.end()
    }
}

/// One level of each kind, around another value.
#[derive(Serialize, serde::Deserialize)]
enum Level {
    List(Vec<Level>),
    Pair((u8, Box<Level>)),
    Struct { inner: Box<Level> },
    Tuple(u8, Box<Level>),
    Map(BTreeMap<String, Level>),
    Bytes(Vec<u8>),
}

#[test]
fn written_json_is_read_and_deeper_json_refused() {
    type Around = fn(Level) -> Level;
    let kinds: [Around; 5] = [
        |inner| Level::List(vec![Level::Bytes(vec![1]), inner]),
        |inner| Level::Pair((1, inner.into())),
        |inner| Level::Struct { inner: inner.into() },
        |inner| Level::Tuple(1, inner.into()),
        |inner| Level::Map(BTreeMap::from([("a".to_owned(), inner)])),
    ];
    for around in kinds {
        let (mut value, mut written) = (Level::Bytes(Vec::new()), 0);
        for _ in 0..100 {
            let json = serde_json::to_vec(&value).unwrap();
            let is_read = serde_json::from_slice::<Level>(&json).is_ok();
            match write(Vec::new(), &value) {
                Ok(ours) => {
                    assert!(is_read && ours == json, "level {written}");
                    written += 1;
                }
                Err(_) => {
                    assert!(!is_read, "what could be read is refused, after {written}");
                    assert_eq!(refused(&value), JsonError::TooDeep { limit: 127 });
                }
            }
            value = around(value);
        }
        assert!((40..=64).contains(&written), "{written}");
    }
    // Lists, and bytes within.
    let mut list = serde_json::Value::from(1);
    for depth in 1..140 {
        list = serde_json::Value::from(vec![list]);
        let is_read = serde_json::from_slice::<serde_json::Value>(list.to_string().as_bytes()).is_ok();
        assert_eq!(write(Vec::new(), &list).is_ok(), is_read, "{depth}");
        assert_eq!(is_read, depth <= 127);
    }
}

/// As a recursive request without a bound is, which serde would follow until the stack is full.
#[test]
fn endless_json_is_refused_in_time() {
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq([Endless])
        }
    }
    assert_eq!(refused(&Endless), JsonError::TooDeep { limit: 127 });
}

/// With its feature `arbitrary_precision`, which an application may ask for, a number comes like this.
#[test]
fn private_tokens_of_serde_json_pass_through() {
    struct Number;

    impl Serialize for Number {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use ser::SerializeStruct;
            const TOKEN: &str = "$serde_json::private::Number";
            let mut number = serializer.serialize_struct(TOKEN, 1)?;
            number.serialize_field(TOKEN, "12345678901234567890123456789012345678901234567890")?;
            number.end()
        }
    }

    ours(&[Number]);
}
