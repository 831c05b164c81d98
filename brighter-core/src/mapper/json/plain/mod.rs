//! JSON in the form of serde_json, with a fast path: a text without escapes is copied in one piece.
//!
//! serde_json checks each byte of a text separately. That took a third of the time from `post` to the ack for a message
//! of one kilobyte. This module checks sixteen bytes or more at once, which compilers do if the loop has no early exit.
//! serde_json still writes everything else. The values that it writes are wrapped, so that their texts take the fast
//! path as well.

#[cfg(test)]
mod tests;

mod limits;

use std::cell::RefCell;
use std::fmt::Display;
use std::io;

use serde::ser::{self, Serialize, Serializer};

use self::limits::Limits;
use crate::mapper::MapError;

/// Writes the value behind what is in the buffer.
///
/// # Errors
/// A number is not finite, or the value is nested deeper than it could be read again: see [`JsonError`]. Or what serde_json
/// says.
pub(super) fn write<T: Serialize + ?Sized>(buffer: Vec<u8>, value: &T) -> Result<Vec<u8>, MapError> {
    let paper = Paper {
        text: RefCell::new(TextWriter {
            bytes: buffer,
            passed_over: 0,
        }),
        limits: Limits::default(),
    };
    let mut json = serde_json::Serializer::new(Pen(&paper));
    match Wrapped(value, &paper).serialize(&mut json) {
        Ok(()) => Ok(paper.text.into_inner().bytes),
        Err(error) => Err(paper
            .limits
            .into_error()
            .map_or_else(|| MapError::new(error), MapError::new)),
    }
}

struct Paper {
    text: RefCell<TextWriter>,
    limits: Limits,
}

struct TextWriter {
    bytes: Vec<u8>,
    /// The number of bytes of the next output of serde_json that are in the buffer already.
    passed_over: usize,
}

/// The writer that serde_json uses.
struct Pen<'p>(&'p Paper);

impl io::Write for Pen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        // No other borrow exists: each writer finishes before the next one starts.
        let mut text = self.0.text.borrow_mut();
        let passed_over = text.passed_over.min(bytes.len());
        text.passed_over -= passed_over;
        text.bytes.extend_from_slice(&bytes[passed_over..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The fast path does not pay off for shorter texts.
const SHORT: usize = 32;

/// Returns whether a text needs no escapes in JSON.
fn is_plain(text: &str) -> bool {
    let must_be_escaped = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    // Without an early exit, so that many bytes are checked at once.
    let has_some = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(false, |some, byte| some | must_be_escaped(byte))
    };
    !text.as_bytes().chunks(256).any(has_some)
}

/// A value whose texts take the fast path.
struct Wrapped<'p, 'v, T: ?Sized>(&'v T, &'p Paper);

impl<T: Serialize + ?Sized> Serialize for Wrapped<'_, '_, T> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Plain {
            json,
            paper: self.1,
            levels: 0,
        })
    }
}

/// A serializer of serde_json, or one of its serializers for sequences, maps and structs.
struct Plain<'p, S> {
    json: S,
    paper: &'p Paper,
    /// How many levels end with it.
    levels: usize,
}

impl<'p, S> Plain<'p, S> {
    fn wrapped<'v, T: ?Sized>(&self, value: &'v T) -> Wrapped<'p, 'v, T> {
        Wrapped(value, self.paper)
    }

    /// Notes in which field an error was.
    fn within<T, E>(&self, field: &'static str, written: Result<T, E>) -> Result<T, E> {
        if written.is_err() {
            self.paper.limits.within(field);
        }
        written
    }
}

/// Forwards to serde_json.
macro_rules! as_ever {
    ($($write:ident($($name:ident: $type:ty),*);)*) => {
        $(fn $write(self, $($name: $type),*) -> Result<S::Ok, S::Error> {
            self.json.$write($($name),*)
        })*
    };
}

/// As serde_json does it, with what is within wrapped, so many levels deeper.
macro_rules! parts {
    ($($write:ident($($name:ident: $type:ty),*) -> $parts:ident, $levels:expr;)*) => {
        $(fn $write(self, $($name: $type),*) -> Result<Self::$parts, S::Error> {
            let levels = $levels;
            self.paper.limits.enter(levels)?;
            let json = self.json.$write($($name),*)?;
            Ok(Plain { json, paper: self.paper, levels })
        })*
    };
}

/// As serde_json does it, if the number is one that JSON has.
macro_rules! numbers {
    ($($write:ident($type:ty);)*) => {
        $(fn $write(self, value: $type) -> Result<S::Ok, S::Error> {
            if !value.is_finite() {
                return self.paper.limits.refuse_number(value.into());
            }
            self.json.$write(value)
        })*
    };
}

/// Whether serde_json tells itself by this name that a value is no text, though it is written as one.
fn is_private(name: &str) -> bool {
    name.starts_with("$serde_json::private::")
}

impl<'p, S: Serializer> Serializer for Plain<'p, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Plain<'p, S::SerializeSeq>;
    type SerializeTuple = Plain<'p, S::SerializeTuple>;
    type SerializeTupleStruct = Plain<'p, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Plain<'p, S::SerializeTupleVariant>;
    type SerializeMap = Plain<'p, S::SerializeMap>;
    type SerializeStruct = Plain<'p, S::SerializeStruct>;
    type SerializeStructVariant = Plain<'p, S::SerializeStructVariant>;

    /// Writes a plain text itself. serde_json then writes the two quotes of an empty text, and the first one is in the
    /// buffer already.
    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        if text.len() < SHORT || !is_plain(text) {
            return self.json.serialize_str(text);
        }
        {
            let mut paper = self.paper.text.borrow_mut();
            paper.bytes.reserve(text.len() + 2);
            paper.bytes.push(b'"');
            paper.bytes.extend_from_slice(text.as_bytes());
            paper.passed_over = 1;
        }
        self.json.serialize_str("")
    }

    numbers! {
        serialize_f32(f32);
        serialize_f64(f64);
    }

    /// They are a list of numbers.
    fn serialize_bytes(self, value: &[u8]) -> Result<S::Ok, S::Error> {
        self.paper.limits.enter(1)?;
        let written = self.json.serialize_bytes(value);
        self.paper.limits.leave(1);
        written
    }

    as_ever! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_char(value: char);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.json.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.json.is_human_readable()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.wrapped(value);
        self.json.serialize_some(&value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.wrapped(value);
        self.json.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.paper.limits.enter(1)?;
        let value = self.wrapped(value);
        let written = self.json.serialize_newtype_variant(name, index, variant, &value);
        self.paper.limits.leave(1);
        written
    }

    parts! {
        serialize_seq(length: Option<usize>) -> SerializeSeq, 1;
        serialize_tuple(length: usize) -> SerializeTuple, 1;
        serialize_tuple_struct(name: &'static str, length: usize) -> SerializeTupleStruct, 1;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeTupleVariant, 2;
        serialize_map(length: Option<usize>) -> SerializeMap, 1;
        serialize_struct(name: &'static str, length: usize) -> SerializeStruct, usize::from(!is_private(name));
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeStructVariant, 2;
    }
}

macro_rules! list {
    ($($parts:ident, $next:ident;)*) => {
        $(impl<S: ser::$parts> ser::$parts for Plain<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $next<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                let value = self.wrapped(value);
                self.json.$next(&value)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.paper.limits.leave(self.levels);
                self.json.end()
            }
        })*
    };
}

list! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}

macro_rules! fields {
    ($($parts:ident;)*) => {
        $(impl<S: ser::$parts> ser::$parts for Plain<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                if is_private(key) {
                    let begin = self.paper.text.borrow().bytes.len();
                    self.json.serialize_field(key, value)?;
                    return self.paper.limits.check_raw(&self.paper.text.borrow().bytes[begin..]);
                }
                let value = self.wrapped(value);
                let written = self.json.serialize_field(key, &value);
                self.within(key, written)
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
                self.json.skip_field(key)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.paper.limits.leave(self.levels);
                self.json.end()
            }
        })*
    };
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}

/// Leaves keys to serde_json: not all of them are texts at this point.
impl<S: ser::SerializeMap> ser::SerializeMap for Plain<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.json.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let value = self.wrapped(value);
        self.json.serialize_value(&value)
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), S::Error> {
        let value = self.wrapped(value);
        let written = self.json.serialize_entry(key, &value);
        if written.is_err() {
            self.paper.limits.within_entry(key);
        }
        written
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.paper.limits.leave(self.levels);
        self.json.end()
    }
}
