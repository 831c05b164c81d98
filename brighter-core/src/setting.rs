//! [`InvalidSetting`]: a setting has a value that is not allowed.

use std::fmt;

/// A setting has a value that is not allowed.
///
/// Setters take any value. The `build()`, `connect` or `open` that uses them refuses a value that makes no sense.
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
    /// The setting, named like the method that sets it.
    pub setting: &'static str,
    /// The value that was refused.
    pub value: String,
    /// The allowed values, in words that follow "it must be".
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
