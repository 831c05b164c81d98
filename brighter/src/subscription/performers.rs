//! [`Performers`]: how many performers a subscription is to have.

use std::fmt;
use std::ops::RangeInclusive;

use brighter_core::error::InvalidSetting;
use serde::{Deserialize, Serialize};

/// How many performers a subscription is to have: a number, or as many as there is work for within a range.
///
/// ```
/// use brighter::channel::Performers;
///
/// let four = Performers::from(4);
/// assert_eq!((four.least(), four.most()), (4, 4));
/// let two_to_eight = Performers::from(2..=8);
/// assert_eq!((two_to_eight.least(), two_to_eight.most()), (2, 8));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Performers {
    least: usize,
    most: usize,
}

impl Performers {
    /// Returns how many there always are.
    #[must_use]
    pub fn least(self) -> usize {
        self.least
    }

    /// Returns how many there may be.
    #[must_use]
    pub fn most(self) -> usize {
        self.most
    }

    /// Returns an error unless there is at least one, and no fewer at most than at least.
    pub(crate) fn invalid(self) -> Option<InvalidSetting> {
        let (least, most) = (self.least, self.most);
        if least > most {
            let range = format_args!("{least} to {most}");
            return Some(InvalidSetting::new(
                "performers",
                range,
                "a range that begins with the smaller number",
            ));
        }
        InvalidSetting::if_zero("performers", least)
    }

    /// Whether there are as many as there is work for.
    #[must_use]
    pub fn is_adaptive(self) -> bool {
        self.least() < self.most()
    }
}

impl From<usize> for Performers {
    fn from(performers: usize) -> Self {
        Self {
            least: performers,
            most: performers,
        }
    }
}

impl From<RangeInclusive<usize>> for Performers {
    fn from(range: RangeInclusive<usize>) -> Self {
        Self {
            least: *range.start(),
            most: *range.end(),
        }
    }
}

impl fmt::Display for Performers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_adaptive() {
            write!(f, "{} to {}", self.least(), self.most())
        } else {
            write!(f, "{}", self.least())
        }
    }
}
