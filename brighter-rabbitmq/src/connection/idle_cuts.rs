//! [`IdleCuts`]: whether something between us and the broker ends connections through which nothing goes.

use std::time::Duration;

/// So many ends at about the same age are no chance.
const ENOUGH: usize = 3;
/// A connection that was used just before it ended was not idle.
const IDLE: Duration = Duration::from_millis(500);
/// Ages that differ by less are about the same, and so are those that differ by less than a quarter.
const ABOUT: Duration = Duration::from_millis(500);

/// How long the last connections had been idle when they were cut, one after the other.
#[derive(Debug, Default)]
pub(super) struct IdleCuts {
    ages: Vec<Duration>,
    told: bool,
}

/// What a cut says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdleCut {
    /// It is like no other.
    Single,
    /// It is one of several that ended after being idle for about this long, and nobody was told yet.
    Pattern(Duration),
    /// It is one more of those that were told of.
    Known,
}

impl IdleCuts {
    /// A connection was cut without a word of the broker, after it had been idle for this long.
    pub(super) fn cut(&mut self, idle: Duration) -> IdleCut {
        if idle < IDLE {
            return self.other();
        }
        if self.ages.len() == ENOUGH {
            self.ages.remove(0);
        }
        self.ages.push(idle);
        let (Some(least), Some(most)) = (self.ages.iter().min(), self.ages.iter().max()) else {
            return IdleCut::Single;
        };
        if self.ages.len() < ENOUGH || *most - *least > ABOUT.max(*least / 4) {
            return IdleCut::Single;
        }
        match std::mem::replace(&mut self.told, true) {
            false => IdleCut::Pattern(*least),
            true => IdleCut::Known,
        }
    }

    /// A connection ended in another way.
    pub(super) fn other(&mut self) -> IdleCut {
        self.ages.clear();
        IdleCut::Single
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(ages: &[u64]) -> Vec<IdleCut> {
        let mut cuts = IdleCuts::default();
        let each = ages.iter().map(|age| cuts.cut(Duration::from_millis(*age)));
        each.collect()
    }

    #[test]
    fn three_cuts_at_about_the_same_idle_age_are_told_once() {
        use IdleCut::{Known, Pattern, Single};
        let told = Pattern(Duration::from_millis(3000));
        assert_eq!(cuts(&[3010, 3000, 3200, 3100]), [Single, Single, told, Known]);
        // One of another kind comes first, and between.
        assert_eq!(cuts(&[9000, 3000, 3001, 3002]), [Single, Single, Single, told]);
        assert_eq!(cuts(&[3000, 3000, 0, 3000, 3000]), [Single; 5]);
    }

    #[test]
    fn cuts_at_other_ages_or_in_use_say_nothing() {
        assert_eq!(cuts(&[1000, 3000, 9000, 2000, 30_000]), [IdleCut::Single; 5]);
        assert_eq!(cuts(&[10, 11, 12, 10]), [IdleCut::Single; 4]);
    }
}
