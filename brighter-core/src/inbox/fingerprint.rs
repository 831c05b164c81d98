//! [`Fingerprint`]: a hash of a message's body.

use std::hash::{Hash, Hasher};

use crate::message::content::{digest, fnv};

/// Distinguishes the contents of bodies without keeping them. A request with the same id and another fingerprint is not a
/// duplicate.
///
/// Of JSON it is that of the content: the order of members, white space, how numbers and texts are spelt, and members that
/// are null make no difference. In an envelope of CloudEvents neither does when and in which trace it was sent. Of
/// everything else it is that of the bytes.
///
/// It is the same in every version and on every machine, so a store may keep it. It guards against mistakes, not against
/// malice: an attacker can make two bodies with one fingerprint.
///
/// ```
/// use brighter::inbox::Fingerprint;
///
/// let json = |body: &str| Fingerprint::of_content("application/json", body.as_bytes());
/// assert_eq!(json(r#"{"a":1,"b":2}"#), json(r#"{ "b": 2, "a": 1.0, "added": null }"#));
/// assert_ne!(json(r#"{"a":1}"#), json(r#"{"a":2}"#));
/// assert_eq!(Fingerprint::of(b"foobar").get(), 0x8594_4171_f739_67e8);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint {
    content: u64,
    /// The digest of the bytes, which earlier versions kept of JSON too.
    bytes: u64,
}

impl Fingerprint {
    /// Returns the fingerprint of these bytes.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self::new(fnv(body))
    }

    /// Returns the fingerprint of the content of a body of this type.
    #[must_use]
    pub fn of_content(content_type: &str, body: &[u8]) -> Self {
        let bytes = fnv(body);
        let content = digest(content_type, body).unwrap_or(bytes);
        Self { content, bytes }
    }

    /// Returns the fingerprint that a store has kept.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self {
            content: number,
            bytes: number,
        }
    }

    /// Returns its number, for a store to keep.
    #[must_use]
    pub fn get(self) -> u64 {
        self.content
    }

    /// Returns the number that an earlier version has kept for the same body.
    #[must_use]
    pub fn of_earlier_versions(self) -> u64 {
        self.bytes
    }

    /// Returns whether this is the fingerprint of the body that a store has kept one of, be it as an earlier version did.
    #[must_use]
    pub fn is_kept_as(self, kept: Self) -> bool {
        self == kept || self.bytes == kept.content
    }
}

/// By the content alone.
impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl Eq for Fingerprint {}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.content.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    #[test]
    fn keys_of_earlier_versions_are_recognised() {
        let body = br#"{"b":1,"a":2}"#;
        let now = Fingerprint::of_content("application/json", body);
        let earlier = Fingerprint::of(body);
        assert_ne!(now, earlier);
        assert!(now.is_kept_as(Fingerprint::new(earlier.get())));
        assert!(now.is_kept_as(Fingerprint::new(now.get())));
        assert_eq!(now.of_earlier_versions(), earlier.get());
        let spelt = Fingerprint::of_content("application/json", br#"{"a":2,"b":1}"#);
        assert!(spelt.is_kept_as(Fingerprint::new(now.get())));
        assert!(
            !spelt.is_kept_as(Fingerprint::new(earlier.get())),
            "its bytes are others"
        );
        let other = Fingerprint::of_content("application/json", br#"{"a":2,"b":2}"#);
        assert!(!other.is_kept_as(Fingerprint::new(now.get())));
        assert!(!other.is_kept_as(Fingerprint::new(earlier.get())));
    }

    #[test]
    fn of_other_formats_the_bytes_count() {
        let of = |body: &[u8]| Fingerprint::of_content("text/plain", body);
        assert_eq!(of(b"{\"a\":1}"), Fingerprint::of(b"{\"a\":1}"));
        assert_ne!(of(b"{\"a\":1}"), of(b"{ \"a\":1}"));
    }
}
