//! Requests full of numbers, for tests under each set of serde_json's features.

use std::collections::BTreeMap;

use brighter::prelude::*;
use serde_json::Value;

/// The numbers that one message carries in each place.
pub const NUMBERS: usize = 50;

/// Numbers as fields, which serde_json reads by their type.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Numbers.Sent", kind = "event")]
pub struct Numbers {
    /// The id.
    pub id: MessageId,
    /// Each of them.
    pub list: Vec<f64>,
    /// The first.
    pub maybe: Option<f64>,
    /// Each of them, by a name.
    pub by_name: BTreeMap<String, f64>,
    /// Each of them, with half the digits.
    pub single: Vec<f32>,
    /// Whole numbers of each size.
    pub whole: (i64, u64, i128, u128),
    /// What looks at a value before it knows its type.
    pub shapes: Vec<Shape>,
    /// Either, by what is there.
    pub either: Vec<Either>,
    /// The first, among the fields.
    #[serde(flatten)]
    pub flat: Flat,
    /// The first, as it is.
    pub value: Value,
}

/// An enum that is tagged within.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Shape {
    /// With a number.
    Circle {
        /// The number.
        radius: f64,
    },
}

/// An enum that is not tagged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Either {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A field among those of another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flat {
    /// The number.
    pub ratio: f64,
}

impl Numbers {
    /// A request with these numbers everywhere.
    pub fn of(numbers: &[f64]) -> Self {
        let first = numbers.first().copied().unwrap_or_default();
        let names = (0..).map(|number: u32| format!("number {number}"));
        Self {
            id: MessageId::new(),
            list: numbers.to_vec(),
            maybe: Some(first),
            by_name: names.zip(numbers.iter().copied()).collect(),
            single: numbers
                .iter()
                .map(|number| *number as f32)
                .filter(|number| number.is_finite())
                .collect(),
            whole: (i64::MIN, u64::MAX, i128::MIN, u128::MAX),
            shapes: numbers
                .iter()
                .map(|radius| Shape::Circle { radius: *radius })
                .collect(),
            either: numbers.iter().map(|number| Either::Number(*number)).collect(),
            flat: Flat { ratio: first },
            value: first.into(),
        }
    }

    /// Every number of it, as bits.
    pub fn bits(&self) -> Vec<u64> {
        let shapes = self.shapes.iter().map(|Shape::Circle { radius }| *radius);
        let either = self.either.iter().map(|either| match either {
            Either::Number(number) => *number,
            Either::Text(_) => f64::NAN,
        });
        let mut bits: Vec<u64> = (self.list.iter().copied())
            .chain(self.maybe)
            .chain(self.by_name.values().copied())
            .chain(shapes)
            .chain(either)
            .chain([self.flat.ratio, self.value.as_f64().unwrap_or(f64::NAN)])
            .map(f64::to_bits)
            .collect();
        bits.extend(self.single.iter().map(|number| u64::from(number.to_bits())));
        let (i64, u64, i128, u128) = self.whole;
        bits.extend([
            i64 as u64,
            u64,
            i128 as u64,
            (i128 >> 64) as u64,
            u128 as u64,
            (u128 >> 64) as u64,
        ]);
        bits
    }
}

/// Numbers at the edges, those that others have had trouble with, and random ones, of every size.
pub fn numbers() -> Vec<f64> {
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1,
        0.1 + 0.2,
        1.0 / 3.0,
        f64::EPSILON,
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        -f64::MIN_POSITIVE,
        5e-324,
        2.225_073_858_507_201_1e-308,
        9_007_199_254_740_991.0,
        9_007_199_254_740_992.0,
        9_007_199_254_740_994.0,
        1e15,
        1e16,
        1e21,
        1e22,
        1e23,
        1e-5,
        1e-7,
        123_456_789.123_456_79,
        117.633_313_914_000_17,
        1.577_777_777_777_000_1,
        0.921_568_632_125_854_5,
        18_446_744_073_709_551_615.0,
        -9_223_372_036_854_775_808.0,
        f64::from(f32::MAX),
        f64::from(f32::MIN_POSITIVE),
    ];
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    // Half of them as prices are, half of any size.
    let prices: Vec<_> = (0..1_000)
        .map(|_| (next() >> 11) as f64 / (1_u64 << 53) as f64 * 1000.0)
        .collect();
    let any = std::iter::repeat_with(|| f64::from_bits(next())).filter(|number| number.is_finite());
    let any: Vec<_> = any.take(1_000).collect();
    edges.into_iter().chain(prices).chain(any).collect()
}
