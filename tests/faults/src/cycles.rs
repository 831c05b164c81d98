//! What a process is told that connects, receives and ends, again and again.

use serde::{Deserialize, Serialize};

/// What the process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// Of the node.
    pub url: String,
    /// The name of its connections.
    pub name: String,
    /// Of the test.
    pub exchange: String,
    /// What it reads.
    pub queue: String,
    /// How often it says what it holds.
    pub looks: usize,
    /// How often it connects, receives and ends before each of these.
    pub between: usize,
}

/// What the process holds at rest, when every thread of its connections has ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Held {
    /// Bytes that were allocated and not freed.
    pub live: usize,
    /// Bytes that the system has given the process; what they are above `live` is the allocator's.
    pub resident: usize,
    /// Open files and sockets.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
}

/// How much a figure grows from one look to the next: what its least in the last third is above that in the first. What
/// ends a moment later makes it higher now and then, and never lower.
#[must_use]
pub fn growth(figures: &[usize]) -> f64 {
    let third = figures.len() / 3;
    let least = |figures: &[usize]| figures.iter().min().map_or(0.0, |least| *least as f64);
    let (first, last) = (&figures[..third], &figures[figures.len() - third..]);
    (least(last) - least(first)) / (figures.len() - third).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaks_are_distinct_from_delayed_cleanup() {
        let later = |cycle: usize| {
            if cycle.is_multiple_of(4) {
                0
            } else {
                90_000 + cycle % 7 * 1000
            }
        };
        let flat: Vec<_> = (0..450).map(|cycle| 140_000 + later(cycle)).collect();
        assert!(growth(&flat).abs() < 1.0, "{}", growth(&flat));
        let kept: Vec<_> = (0..450)
            .map(|cycle| 140_000 + later(cycle) + 1000 * cycle)
            .collect();
        assert!((growth(&kept) - 1000.0).abs() < 50.0, "{}", growth(&kept));
    }
}
