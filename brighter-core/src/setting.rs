//! [`InvalidSetting`]: a setting that has a value it cannot have.

use std::fmt;

/// A setting has a value that it cannot have.
///
/// Setters take any value. What is made of them, by `build()`, `connect` or `open`, refuses those that make no sense.
///
/// ```
/// use brighter::error::InvalidSetting;
///
/// let error = InvalidSetting::new("batch", 0, "at least 1");
/// assert_eq!(error.to_string(), "`batch` is 0; it must be at least 1");
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}` is {value}; it must be {allowed}")]
#[non_exhaustive]
pub struct InvalidSetting {
    /// The setting, called like the method that sets it.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// The values that are allowed, in words that follow "it must be".
    pub allowed: &'static str,
}

crate::__readable_debug!(InvalidSetting);

impl InvalidSetting {
    /// Describes a setting whose value is not allowed.
    #[must_use]
    pub fn new(setting: &'static str, value: impl fmt::Display, allowed: &'static str) -> Self {
        Self {
            setting,
            value: value.to_string(),
            allowed,
        }
    }

    /// Returns the error unless the value is allowed.
    #[doc(hidden)]
    pub fn unless(
        is_allowed: bool,
        setting: &'static str,
        value: impl fmt::Display,
        allowed: &'static str,
    ) -> Option<Self> {
        (!is_allowed).then(|| Self::new(setting, value, allowed))
    }

    /// Returns the error if the value is 0.
    #[doc(hidden)]
    pub fn if_zero<N: Default + PartialEq + fmt::Display>(setting: &'static str, value: N) -> Option<Self> {
        Self::unless(value != N::default(), setting, value, "at least 1")
    }
}
