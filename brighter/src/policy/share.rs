//! [`Share`]: so many of all.

use std::fmt;

/// Held in millionths: whole numbers add up exactly, so that a tenth of thirty is three.
const WHOLE: f64 = 1_000_000.0;

/// So many of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share(u64);

impl Share {
    /// This share, which is between 0 and `most`: `build()` has refused any other, so the limits here only keep the
    /// arithmetic defined.
    pub(super) fn new(share: f64, most: f64) -> Self {
        let share = if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, most)
        };
        Self((share * WHOLE).round() as u64)
    }

    /// This share, or the smallest there is.
    pub(super) fn above_zero(self) -> Self {
        Self(self.0.max(1))
    }

    /// So many of this many, rounded down.
    pub(super) fn of(self, all: u64) -> u64 {
        let part = u128::from(self.0) * u128::from(all) / WHOLE as u128;
        u64::try_from(part).unwrap_or(u64::MAX)
    }

    /// Whether so many, or more, of this many is that.
    pub(super) fn is_reached_by(self, some: u64, all: u64) -> bool {
        u128::from(some) * WHOLE as u128 >= u128::from(self.0) * u128::from(all)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0 as f64 * 100.0 / WHOLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_thirty_is_three() {
        let tenth = Share::new(0.1, 1.0);
        assert_eq!(tenth.of(30), 3);
        assert!(tenth.is_reached_by(3, 30) && !tenth.is_reached_by(2, 30));
        assert_eq!(tenth.to_string(), "10%");
        assert_eq!(Share::new(0.125, 1.0).to_string(), "12.5%");
        assert_eq!(
            [f64::NAN, -1.0, 7.0].map(|share| Share::new(share, 1.0).of(100)),
            [0, 0, 100]
        );
        assert!(!Share::new(0.0, 1.0).above_zero().is_reached_by(0, 9));
    }
}
