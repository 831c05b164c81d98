//! [`Bag`]: the headers that the application adds to a message.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

/// One value in a [`Bag`], of a type that every broker can carry as a header.
///
/// The list is complete, so that an adapter writes every value and drops none.
#[derive(Debug, Clone, PartialEq)]
pub enum BagValue {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
}

impl BagValue {
    /// Returns the text, if the value is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the integer, if the value is one.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the floating-point number, if the value is one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the boolean, if the value is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

/// Writes the value as it is. In a format for people, such as JSON, a number that is not finite is an error: it would become
/// a null, which could not be read again.
impl Serialize for BagValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Float(number) if !number.is_finite() && serializer.is_human_readable() => {
                Err(ser::Error::custom(format_args!("the number {number} in a bag")))
            }
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for BagValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfAnyKind)
    }
}

struct OfAnyKind;

impl<'de> Visitor<'de> for OfAnyKind {
    type Value = BagValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false, a number or a text")
    }

    fn visit_bool<E>(self, value: bool) -> Result<BagValue, E> {
        Ok(BagValue::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<BagValue, E> {
        Ok(BagValue::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<BagValue, E> {
        Ok(i64::try_from(number).map_or(BagValue::Float(number as f64), BagValue::Int))
    }

    fn visit_f64<E>(self, number: f64) -> Result<BagValue, E> {
        Ok(BagValue::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<BagValue, E> {
        Ok(BagValue::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<BagValue, E> {
        Ok(BagValue::Text(text))
    }

    /// With serde_json's feature `arbitrary_precision`, which any crate may switch on, a fraction comes as a map.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BagValue, A::Error> {
        let number = serde_json::Number::deserialize(MapAccessDeserializer::new(map))?;
        let number = number
            .as_f64()
            .ok_or_else(|| de::Error::custom("a number beyond those of 64 bits"))?;
        Ok(BagValue::Float(number))
    }
}

/// Writes the value without quotes.
impl fmt::Display for BagValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

impl From<bool> for BagValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for BagValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for BagValue {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for BagValue {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for BagValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for BagValue {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for BagValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// The headers that the application adds to a message, by name. They travel with the message on every transport.
///
/// ```
/// use brighter::message::Bag;
///
/// let mut bag = Bag::default();
/// bag.insert("tenant", "north");
/// bag.insert("priority", 3);
/// assert_eq!(bag.get("tenant").and_then(|v| v.as_str()), Some("north"));
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bag(BTreeMap<String, BagValue>);

impl Bag {
    /// Inserts a value, and returns the earlier value of that name.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<BagValue>) -> Option<BagValue> {
        self.0.insert(name.into(), value.into())
    }

    /// Returns the value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&BagValue> {
        self.0.get(name)
    }

    /// Removes the value of this name, and returns it.
    pub fn remove(&mut self, name: &str) -> Option<BagValue> {
        self.0.remove(name)
    }

    /// Iterates over the names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BagValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns the number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the bag is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::BagValue;

    #[test]
    fn each_getter_gives_its_own_kind_and_no_other() {
        let values: [BagValue; 4] = [true.into(), 7.into(), 1.5.into(), "north".into()];
        let [yes, number, fraction, text] = &values;
        assert_eq!(yes.as_bool(), Some(true));
        assert_eq!(number.as_i64(), Some(7));
        assert_eq!(fraction.as_f64(), Some(1.5));
        assert_eq!(text.as_str(), Some("north"));
        let found = values.iter().map(|value| {
            let found = [
                value.as_bool().is_some(),
                value.as_i64().is_some(),
                value.as_f64().is_some(),
                value.as_str().is_some(),
            ];
            found.into_iter().filter(|found| *found).count()
        });
        assert!(found.eq([1, 1, 1, 1]));
        // An integer is no float: the two stay distinct.
        assert_eq!(BagValue::from(7).as_f64(), None);
    }

    #[test]
    fn every_kind_of_value_survives_json() {
        let values: [BagValue; 13] = [
            false.into(),
            0.into(),
            i64::MIN.into(),
            i64::MAX.into(),
            0.1.into(),
            (-0.0).into(),
            1.0.into(),
            1e300.into(),
            f64::MIN_POSITIVE.into(),
            5e-324.into(),
            f64::MAX.into(),
            "".into(),
            "1.5".into(),
        ];
        let json = serde_json::to_string(&values).unwrap();
        let read: Vec<BagValue> = serde_json::from_str(&json).unwrap();
        // As text, for `-0.0` is equal to `0.0`.
        assert_eq!(format!("{read:?}"), format!("{values:?}"));
        let large: BagValue = serde_json::from_str("18446744073709551615").unwrap();
        assert_eq!(large, BagValue::Float(18_446_744_073_709_551_615.0));
    }

    #[test]
    fn values_outside_a_bag_are_errors_in_json() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = serde_json::to_string(&BagValue::from(number)).unwrap_err();
            assert!(error.to_string().contains("in a bag"), "{error}");
        }
        for json in ["null", "[]", "{}", r#"{"a":1}"#, "1e400"] {
            serde_json::from_str::<BagValue>(json).unwrap_err();
        }
    }

    #[test]
    fn display_is_the_value_without_quotes() {
        let shown = |value: BagValue| value.to_string();
        assert_eq!(shown(false.into()), "false");
        assert_eq!(shown((-7).into()), "-7");
        assert_eq!(shown(1.5.into()), "1.5");
        assert_eq!(shown("a \"north\"".into()), "a \"north\"");
        assert_eq!(format!("{:>6}", BagValue::from("ab")), "    ab");
    }
}
