//! A table of headers, looked through once.

use lapin::types::{AMQPValue, FieldTable};

use super::name::Known;

/// Those of the headers that are ours, however they are spelt.
pub(super) struct Headers<'a> {
    known: [Option<&'a AMQPValue>; Known::COUNT],
}

impl<'a> Headers<'a> {
    /// Looks through the table, and gives every header that is not ours to `other`.
    ///
    /// # Errors
    /// That of `other`.
    pub(super) fn read<E>(
        table: &'a FieldTable,
        mut other: impl FnMut(&'a str, &'a AMQPValue) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut known = [None; Known::COUNT];
        for (name, value) in table {
            let name = name.as_str();
            let Some(header) = Known::of(name) else {
                other(name, value)?;
                continue;
            };
            // Where there are several spellings, ours is right.
            let index = header as usize;
            if known[index].is_none() || name == header.as_str() {
                known[index] = Some(value);
            }
        }
        Ok(Self { known })
    }

    /// Looks through the table for ours alone.
    pub(super) fn of(table: &'a FieldTable) -> Self {
        let nothing = |_: &str, _: &AMQPValue| Ok::<(), std::convert::Infallible>(());
        match Self::read(table, nothing) {
            Ok(headers) => headers,
            Err(never) => match never {},
        }
    }

    pub(super) fn get(&self, header: Known) -> Option<&'a AMQPValue> {
        self.known[header as usize]
    }
}
