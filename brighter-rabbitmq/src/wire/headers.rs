//! A table of headers, looked through once.

use lapin::types::{AMQPValue, FieldTable};

use super::name::KnownHeader;

/// Those of the headers that are ours, however they are spelt.
pub(super) struct Headers<'a> {
    known: [Option<&'a AMQPValue>; KnownHeader::COUNT],
}

impl<'a> Headers<'a> {
    /// Looks through the table, and gives every header that is not ours to `other`.
    pub(super) fn read(table: &'a FieldTable, mut other: impl FnMut(&'a str, &'a AMQPValue)) -> Self {
        let mut known = [None; KnownHeader::COUNT];
        for (name, value) in table {
            let name = name.as_str();
            let Some(header) = KnownHeader::of(name) else {
                other(name, value);
                continue;
            };
            // Where there are several spellings, ours is right.
            let index = header as usize;
            if known[index].is_none() || name == header.as_str() {
                known[index] = Some(value);
            }
        }
        Self { known }
    }

    /// Looks through the table for ours alone.
    pub(super) fn of(table: &'a FieldTable) -> Self {
        Self::read(table, |_, _| {})
    }

    pub(super) fn get(&self, header: KnownHeader) -> Option<&'a AMQPValue> {
        self.known[header as usize]
    }
}
