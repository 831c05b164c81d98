//! [`WarningLimit`]: one warning at once, then one a minute with a count.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a subject is only counted after a warning.
const INTERVAL: Duration = Duration::from_secs(60);
/// How many subjects are remembered. The one that was warned of the longest ago makes room for another.
const REMEMBERED: usize = 1_000;

/// Limits the warnings of each subject.
#[derive(Debug)]
pub(crate) struct WarningLimit<K> {
    subjects: Mutex<BTreeMap<K, WarningWindow>>,
}

#[derive(Debug)]
struct WarningWindow {
    warned: Instant,
    /// Events since the warning.
    counted: u64,
}

impl<K> Default for WarningLimit<K> {
    fn default() -> Self {
        Self {
            subjects: Mutex::default(),
        }
    }
}

impl<K: Ord + Clone> WarningLimit<K> {
    /// Counts an event. Returns how many there were since the last warning, with this one, if it is time for a warning.
    pub(crate) fn count(&self, subject: K) -> Option<u64> {
        let now = Instant::now();
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = subjects.get_mut(&subject) {
            window.counted = window.counted.saturating_add(1);
            if now.saturating_duration_since(window.warned) < INTERVAL {
                return None;
            }
            window.warned = now;
            return Some(std::mem::take(&mut window.counted));
        }
        if subjects.len() >= REMEMBERED {
            let oldest = subjects.iter().min_by_key(|(_, window)| window.warned);
            let oldest = oldest.map(|(subject, _)| subject.clone());
            oldest.and_then(|oldest| subjects.remove(&oldest));
        }
        let window = WarningWindow {
            warned: now,
            counted: 0,
        };
        subjects.insert(subject, window);
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_subject_warns_once_a_minute_with_a_count() {
        let limit = WarningLimit::default();
        assert_eq!(limit.count("orders"), Some(1));
        assert_eq!([(); 7].map(|()| limit.count("orders")), [None; 7]);
        assert_eq!(limit.count("bills"), Some(1), "another subject");
        tokio::time::advance(INTERVAL - Duration::from_millis(1)).await;
        assert_eq!(limit.count("orders"), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(limit.count("orders"), Some(9));
        assert_eq!(limit.count("orders"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_too_many_subjects_is_forgotten() {
        let limit = WarningLimit::default();
        for subject in 0..=REMEMBERED {
            assert_eq!(limit.count(subject), Some(1));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(limit.count(REMEMBERED), None);
        assert_eq!(limit.count(0), Some(1), "it was forgotten");
        assert_eq!(limit.subjects.lock().unwrap().len(), REMEMBERED);
    }
}
