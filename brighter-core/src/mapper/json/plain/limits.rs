//! What JSON cannot say, and what nobody could read again: [`Limits`].

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use serde::{Serialize, ser};
use serde_json::Value;

use super::super::JsonError;
use crate::json_text::MAX_LEVELS;

/// How deep a value is nested that is being written, and why it is refused, if it is.
#[derive(Default)]
pub(super) struct Limits {
    depth: Cell<usize>,
    refused: RefCell<Option<Refused>>,
}

enum Refused {
    TooDeep,
    Number {
        number: f64,
        /// The fields around it, the innermost first.
        fields: Vec<Cow<'static, str>>,
    },
}

impl Limits {
    /// Goes so many levels deeper.
    pub(super) fn enter<E: ser::Error>(&self, levels: usize) -> Result<(), E> {
        let depth = self.depth.get() + levels;
        self.depth.set(depth);
        if depth > MAX_LEVELS {
            self.refuse(Refused::TooDeep)
        } else {
            Ok(())
        }
    }

    /// Comes back from so many levels.
    pub(super) fn leave(&self, levels: usize) {
        self.depth.set(self.depth.get().saturating_sub(levels));
    }

    pub(super) fn refuse_number<T, E: ser::Error>(&self, number: f64) -> Result<T, E> {
        let fields = Vec::new();
        self.refuse(Refused::Number { number, fields })
    }

    /// Checks JSON that somebody has put in as it is.
    pub(super) fn check_raw<E: ser::Error>(&self, json: &[u8]) -> Result<(), E> {
        if self.depth.get() + levels_of(json) > MAX_LEVELS {
            return self.refuse(Refused::TooDeep);
        }
        Ok(())
    }

    /// Notes a field around what is refused.
    pub(super) fn within(&self, field: &'static str) {
        if let Some(Refused::Number { fields, .. }) = &mut *self.refused.borrow_mut() {
            fields.push(field.into());
        }
    }

    /// Notes an entry of a map around what is refused, if its key is a text.
    pub(super) fn within_entry<K: Serialize + ?Sized>(&self, key: &K) {
        if let Some(Refused::Number { fields, .. }) = &mut *self.refused.borrow_mut()
            && let Ok(Value::String(key)) = serde_json::to_value(key)
        {
            fields.push(key.into());
        }
    }

    fn refuse<T, E: ser::Error>(&self, refused: Refused) -> Result<T, E> {
        self.refused.replace(Some(refused));
        Err(E::custom("refused"))
    }

    pub(super) fn into_error(self) -> Option<JsonError> {
        Some(match self.refused.into_inner()? {
            Refused::TooDeep => JsonError::TooDeep { limit: MAX_LEVELS },
            Refused::Number { number, mut fields } => {
                fields.reverse();
                let field = fields.join(".");
                JsonError::NotFinite { field, number }
            }
        })
    }
}

/// How many levels of objects and arrays a text of JSON has.
fn levels_of(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next().filter(|byte| **byte != b'"') {
                    if *byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::levels_of;

    #[test]
    fn levels_of_json_are_counted_outside_of_texts() {
        for (json, levels) in [
            ("1", 0),
            ("{}", 1),
            (r#"[1,[2],{"a":[3]}]"#, 3),
            (r#""[[[""#, 0),
            (r#"["\"[[", "]"]"#, 1),
            (r#"["\\", [1]]"#, 2),
        ] {
            assert_eq!(levels_of(json.as_bytes()), levels, "{json}");
        }
    }
}
