//! [`HeaderTable`]: the headers of a message, searched once.

use lapin::types::{AMQPValue, FieldTable};

use super::name::KnownHeader;

/// The headers of brighter, in any spelling.
pub(super) struct HeaderTable<'a> {
    known: [Option<&'a AMQPValue>; KnownHeader::COUNT],
}

impl<'a> HeaderTable<'a> {
    /// Reads the table, and passes every header of the application to `other`.
    pub(super) fn read(table: &'a FieldTable, mut other: impl FnMut(&'a str, &'a AMQPValue)) -> Self {
        let mut known = [None; KnownHeader::COUNT];
        for (name, value) in table {
            let name = name.as_str();
            let Some(header) = KnownHeader::of(name) else {
                other(name, value);
                continue;
            };
            // If there are several spellings, brighter's takes precedence.
            let index = header as usize;
            if known[index].is_none() || name == header.as_str() {
                known[index] = Some(value);
            }
        }
        Self { known }
    }

    /// Reads only the headers of brighter.
    pub(super) fn of(table: &'a FieldTable) -> Self {
        Self::read(table, |_, _| {})
    }

    pub(super) fn get(&self, header: KnownHeader) -> Option<&'a AMQPValue> {
        self.known[header as usize]
    }
}
