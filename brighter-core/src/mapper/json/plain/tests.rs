//! What is written must be what serde_json writes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use serde::Serialize;

use super::*;

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
fn a_text_that_needs_no_escape_is_copied_and_any_other_is_escaped() {
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
fn what_cannot_be_written_is_an_error_as_ever() {
    let by_list = BTreeMap::from([(vec!["a key must be a text"], 1)]);
    assert_eq!(
        write(Vec::new(), &by_list).unwrap_err().to_string(),
        serde_json::to_string(&by_list).unwrap_err().to_string()
    );
}

/// With its feature `arbitrary_precision`, which an application may ask for, a number comes like this.
#[test]
fn what_serde_json_tells_itself_is_left_to_it() {
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
