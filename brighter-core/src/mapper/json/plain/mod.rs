//! JSON in the form of serde_json, with a fast path: a text without escapes is copied in one piece.
//!
//! serde_json checks each byte of a text separately. That took a third of the time from `post` to the ack for a message
//! of one kilobyte. This module checks sixteen bytes or more at once, which compilers do if the loop has no early exit.
//! serde_json still writes everything else. The values that it writes are wrapped, so that their texts take the fast
//! path as well.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt::Display;
use std::io;

use serde::ser::{self, Serialize, Serializer};

/// Writes the value at the end of the buffer.
pub(super) fn write<T: Serialize + ?Sized>(paper: Vec<u8>, value: &T) -> serde_json::Result<Vec<u8>> {
    let paper = RefCell::new(Paper {
        bytes: paper,
        passed_over: 0,
    });
    let mut json = serde_json::Serializer::new(Pen(&paper));
    Wrapped(value, &paper).serialize(&mut json)?;
    Ok(paper.into_inner().bytes)
}

struct Paper {
    bytes: Vec<u8>,
    /// The number of bytes of the next output of serde_json that are in the buffer already.
    passed_over: usize,
}

/// The writer that serde_json uses.
struct Pen<'p>(&'p RefCell<Paper>);

impl io::Write for Pen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        // No other borrow exists: each writer finishes before the next one starts.
        let mut paper = self.0.borrow_mut();
        let passed_over = paper.passed_over.min(bytes.len());
        paper.passed_over -= passed_over;
        paper.bytes.extend_from_slice(&bytes[passed_over..]);
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
struct Wrapped<'p, 'v, T: ?Sized>(&'v T, &'p RefCell<Paper>);

impl<T: Serialize + ?Sized> Serialize for Wrapped<'_, '_, T> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Plain { json, paper: self.1 })
    }
}

/// A serializer of serde_json, or one of its serializers for sequences, maps and structs.
struct Plain<'p, S> {
    json: S,
    paper: &'p RefCell<Paper>,
}

impl<'p, S> Plain<'p, S> {
    fn wrapped<'v, T: ?Sized>(&self, value: &'v T) -> Wrapped<'p, 'v, T> {
        Wrapped(value, self.paper)
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

/// Forwards to serde_json, with the inner values wrapped.
macro_rules! parts {
    ($($write:ident($($name:ident: $type:ty),*) -> $parts:ident;)*) => {
        $(fn $write(self, $($name: $type),*) -> Result<Self::$parts, S::Error> {
            let json = self.json.$write($($name),*)?;
            Ok(Plain { json, paper: self.paper })
        })*
    };
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
            let mut paper = self.paper.borrow_mut();
            paper.bytes.reserve(text.len() + 2);
            paper.bytes.push(b'"');
            paper.bytes.extend_from_slice(text.as_bytes());
            paper.passed_over = 1;
        }
        self.json.serialize_str("")
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
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_bytes(value: &[u8]);
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
        let value = self.wrapped(value);
        self.json.serialize_newtype_variant(name, index, variant, &value)
    }

    parts! {
        serialize_seq(length: Option<usize>) -> SerializeSeq;
        serialize_tuple(length: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, length: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeTupleVariant;
        serialize_map(length: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, length: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeStructVariant;
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
                // With such a key serde_json marks a value that is no text, though it is written as one.
                if key.starts_with("$serde_json::private::") {
                    return self.json.serialize_field(key, value);
                }
                let value = self.wrapped(value);
                self.json.serialize_field(key, &value)
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
                self.json.skip_field(key)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
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
        self.json.serialize_entry(key, &value)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.json.end()
    }
}
