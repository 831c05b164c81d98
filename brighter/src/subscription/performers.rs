//! [`Performers`]: how many performers a subscription is to have.

use std::fmt;
use std::ops::RangeInclusive;

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
    /// How many there always are; 1 at least.
    #[must_use]
    pub fn least(self) -> usize {
        self.least.max(1)
    }

    /// How many there may be.
    #[must_use]
    pub fn most(self) -> usize {
        self.most.max(self.least())
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
