//! [`Fingerprint`]: a hash of a message's body.

/// Distinguishes bodies without keeping them. A request with the same id and another fingerprint is not a duplicate.
///
/// The same bytes have the same fingerprint in every version and on every machine, so a store may keep it. It protects
/// against mistakes and not against attacks: two bodies with one fingerprint can be made on purpose.
///
/// ```
/// use brighter::inbox::Fingerprint;
///
/// assert_eq!(Fingerprint::of(b"foobar").get(), 0x8594_4171_f739_67e8);
/// assert_ne!(Fingerprint::of(b"one body"), Fingerprint::of(b"another"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Computes the fingerprint of these bytes: FNV-1a with 64 bits.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let hash = body.iter().fold(OFFSET_BASIS, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
        });
        Self(hash)
    }

    /// Returns the fingerprint from the number that a store has kept.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number, for a store to keep.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}
