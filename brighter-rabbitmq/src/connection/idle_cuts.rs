//! [`IdleCuts`]: detects an intermediary that cuts idle connections.

use std::time::Duration;

/// This many cuts at about the same idle time are no coincidence.
const ENOUGH: usize = 3;
/// A connection that was used just before it ended was not idle.
const IDLE: Duration = Duration::from_millis(500);
/// Idle times count as equal if they differ by less than this or by less than a quarter.
const ABOUT: Duration = Duration::from_millis(500);

/// The idle times of the last connections that were cut, in order.
#[derive(Debug, Default)]
pub(super) struct IdleCuts {
    ages: Vec<Duration>,
    told: bool,
}

/// The meaning of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdleCut {
    /// The cut is unlike the ones before.
    Single,
    /// The cut is one of several after about this idle time, and nothing has been logged yet.
    Pattern(Duration),
    /// The cut is one more of a pattern that has been logged.
    Known,
}

impl IdleCuts {
    /// Records a connection that was cut without a reason from the broker, after this idle time.
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

    /// Records that a connection ended in another way.
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
    fn three_similar_idle_cuts_are_reported_once() {
        use IdleCut::{Known, Pattern, Single};
        let told = Pattern(Duration::from_millis(3000));
        assert_eq!(cuts(&[3010, 3000, 3200, 3100]), [Single, Single, told, Known]);
        // A cut of another kind comes first, and between.
        assert_eq!(cuts(&[9000, 3000, 3001, 3002]), [Single, Single, Single, told]);
        assert_eq!(cuts(&[3000, 3000, 0, 3000, 3000]), [Single; 5]);
    }

    #[test]
    fn cuts_at_other_ages_or_in_use_say_nothing() {
        assert_eq!(cuts(&[1000, 3000, 9000, 2000, 30_000]), [IdleCut::Single; 5]);
        assert_eq!(cuts(&[10, 11, 12, 10]), [IdleCut::Single; 4]);
    }
}
