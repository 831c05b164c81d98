//! What a ledger comes to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::{Entry, Line};

/// What a ledger comes to: the invariants I1 and I2 of the catalogue, and how long nothing happened after a fault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Messages that somebody tried to publish.
    pub attempted: usize,
    /// Messages that the broker confirmed.
    pub acknowledged: usize,
    /// Messages that were handled.
    pub handled: usize,
    /// Confirmed, and neither handled nor set aside nor still queued.
    pub lost: BTreeSet<String>,
    /// Handled, and never published.
    pub unexpected: BTreeSet<String>,
    /// Handled more than once.
    pub duplicated: BTreeSet<String>,
    /// Handled although nobody was told that they were published.
    pub recovered: BTreeSet<String>,
    /// The longest time from the end of a fault to the next message handled.
    pub stall: Duration,
}

impl Verdict {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut times: BTreeMap<&str, [usize; 7]> = BTreeMap::new();
        for line in lines {
            if !matches!(line.entry, Entry::Fault | Entry::Cleared) {
                times.entry(&line.id).or_default()[line.entry as usize] += 1;
            }
        }
        let mut verdict = Self {
            stall: stall(lines),
            ..Self::default()
        };
        for (id, times) in times {
            let is = |entry: Entry| times[entry as usize] > 0;
            let id = || id.to_owned();
            verdict.attempted += usize::from(is(Entry::Attempted));
            verdict.acknowledged += usize::from(is(Entry::Acknowledged));
            verdict.handled += usize::from(is(Entry::Handled));
            let safe = is(Entry::Handled) || is(Entry::SetAside) || is(Entry::Queued);
            if is(Entry::Acknowledged) && !safe {
                verdict.lost.insert(id());
            }
            if is(Entry::Handled) && !is(Entry::Attempted) {
                verdict.unexpected.insert(id());
            }
            if times[Entry::Handled as usize] > 1 {
                verdict.duplicated.insert(id());
            }
            if is(Entry::Handled) && !is(Entry::Acknowledged) {
                verdict.recovered.insert(id());
            }
        }
        verdict
    }

    /// Checks that nothing was lost and nothing came from nowhere, and prints the figures.
    ///
    /// # Panics
    /// Something was, or did.
    pub fn check(&self, fault: &str) {
        crate::scale::report(fault, self);
        assert!(self.lost.is_empty(), "{fault}: lost {:?}", self.lost);
        assert!(
            self.unexpected.is_empty(),
            "{fault}: nobody published {:?}",
            self.unexpected
        );
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} attempted, {} confirmed, {} handled; {} lost, {} unexpected, {} twice or more, {} recovered; stall {} ms",
            self.attempted,
            self.acknowledged,
            self.handled,
            self.lost.len(),
            self.unexpected.len(),
            self.duplicated.len(),
            self.recovered.len(),
            self.stall.as_millis()
        )
    }
}

fn stall(lines: &[Line]) -> Duration {
    let mut longest = Duration::ZERO;
    for (index, cleared) in lines.iter().enumerate() {
        if cleared.entry != Entry::Cleared {
            continue;
        }
        // A fault that comes on top of it begins the waiting anew.
        let next = lines[index + 1..]
            .iter()
            .find(|line| matches!(line.entry, Entry::Handled | Entry::Fault));
        if let Some(next) = next.filter(|line| line.entry == Entry::Handled) {
            longest = longest.max(next.at.saturating_sub(cleared.at));
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::super::Ledger;
    use super::*;

    #[test]
    fn every_fate_is_told_apart() {
        let ledger = Ledger::new();
        for (entry, ids) in [
            (Entry::Attempted, "fine lost twice maybe dead waiting"),
            (Entry::Acknowledged, "fine lost twice dead waiting"),
            (Entry::Handled, "fine twice twice maybe nowhere"),
            (Entry::SetAside, "dead"),
            (Entry::Queued, "waiting"),
        ] {
            ids.split(' ').for_each(|id| ledger.write(entry, id));
        }
        let verdict = ledger.verdict();
        let ids = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            (verdict.attempted, verdict.acknowledged, verdict.handled),
            (6, 5, 4)
        );
        assert_eq!(ids(&verdict.lost), "lost");
        assert_eq!(ids(&verdict.unexpected), "nowhere");
        assert_eq!(ids(&verdict.duplicated), "twice");
        assert_eq!(ids(&verdict.recovered), "maybe nowhere");
    }

    #[test]
    fn a_stall_lasts_from_fault_to_next_message() {
        let line = |at, entry| Line {
            at: Duration::from_secs(at),
            entry,
            id: "-".into(),
        };
        let lines = [
            line(1, Entry::Fault),
            line(2, Entry::Cleared),
            line(4, Entry::Handled),
            line(90, Entry::Handled),
            line(95, Entry::Cleared),
            line(120, Entry::Fault),
            line(121, Entry::Cleared),
            line(122, Entry::Handled),
        ];
        assert_eq!(stall(&lines), Duration::from_secs(2));
    }
}
