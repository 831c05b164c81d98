//! [`TypeMap`]: what there is for each type of request.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map with a value for each type of request.
pub(super) type TypeMap<V> = HashMap<TypeId, V, BuildHasherDefault<AsItIs>>;

/// A [`TypeId`] is a hash already, of types that nobody from outside can choose.
#[derive(Debug, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, part: u64) {
        self.0 ^= part;
    }

    /// However else a future compiler writes it.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}
