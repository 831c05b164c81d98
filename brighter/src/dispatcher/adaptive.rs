//! As many performers as there is work for: looks at the depth of the channel now and then, and decides.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{sleep, timeout};

use super::supervisor::Supervisor;
use crate::subscription::Performers;
use brighter_core::__private::report;

/// How long from one look to the next, give or take a fifth, so that many nodes do not ask at once.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the broker may take to tell the depth.
const DEPTH_DEADLINE: Duration = Duration::from_secs(10);

/// So many looks in a row that find more than is worked off bring more performers: a burst alone does not.
const LOOKS_BEHIND: u32 = 2;
/// So many looks in a row that find a performer idle, a minute of them, take one away. That this is longer than what
/// brings one keeps the number from swinging.
const LOOKS_IDLE: u32 = 12;
/// The number of samples within which a backlog should clear, so that no performer is added.
const CLEARED_WITHIN: u64 = 3;

/// The depth of a channel at one look.
#[derive(Debug, Clone, Copy)]
struct DepthSample {
    /// How many messages wait at the broker, beyond those in the memory of the performers.
    depth: u64,
    performers: usize,
    /// How many of them were handling something.
    busy: usize,
}

/// The samples before this one.
#[derive(Debug, Clone, Copy, Default)]
struct Trend {
    depth: Option<u64>,
    behind: u32,
    idle: u32,
}

impl Trend {
    /// How many performers there shall be from now on, if that changes.
    ///
    /// Up by half, for a backlog wants an answer soon; down by one, for a lull may be over soon.
    fn decide(&mut self, look: DepthSample, range: Performers) -> Option<usize> {
        let DepthSample {
            depth,
            performers,
            busy,
        } = look;
        let worked_off = self.depth.map_or(0, |before| before.saturating_sub(depth));
        let soon_cleared = worked_off > 0 && depth / worked_off < CLEARED_WITHIN;
        let behind = depth > u64::try_from(performers).unwrap_or(u64::MAX) && !soon_cleared;
        let idle = depth == 0 && busy < performers;
        self.depth = Some(depth);
        self.behind = if behind { self.behind + 1 } else { 0 };
        self.idle = if idle { self.idle + 1 } else { 0 };
        let wanted = if self.behind >= LOOKS_BEHIND {
            performers + performers.div_ceil(2)
        } else if self.idle >= LOOKS_IDLE {
            performers - 1
        } else {
            return None;
        };
        let wanted = wanted.clamp(range.least(), range.most());
        if wanted == performers {
            return None;
        }
        // Whatever follows is judged by looks that the change has had a part in.
        *self = Self::default();
        Some(wanted)
    }
}

impl Supervisor {
    /// Changes how many performers are wanted, for as long as that is to follow the work.
    pub(super) async fn adapt(&self) -> Infallible {
        let mut ranges = self.registered.performers.subscribe();
        loop {
            let range = *ranges.borrow_and_update();
            let changed = async {
                // Its sender is beside us in `registered`.
                let _ = ranges.changed().await;
            };
            if !range.is_adaptive() {
                changed.await;
                continue;
            }
            tokio::select! {
                () = changed => {}
                () = self.follow(range) => return std::future::pending().await,
            }
        }
    }

    /// Follows the work within the range; returns if the broker does not tell how deep a channel is.
    async fn follow(&self, range: Performers) {
        let subscription = &self.registered.settings.name;
        let mut trend = Trend::default();
        loop {
            sleep(with_jitter(LOOK_EVERY)).await;
            if self.registered.controls.is_idle() {
                trend = Trend::default();
                continue;
            }
            let depth = self.broker.depth(&self.registered.settings.channel);
            let depth = timeout(DEPTH_DEADLINE, AssertUnwindSafe(depth).catch_unwind()).await;
            let depth = match depth {
                Ok(Ok(Ok(Some(depth)))) => depth,
                Ok(Ok(Ok(None))) => {
                    tracing::warn!(%subscription, performers = range.least(), "broker does not report its queue depth; the number of performers stays");
                    return;
                }
                unknown => {
                    let error = match unknown {
                        Ok(Ok(Err(error))) => report(&error),
                        Ok(_) => "it panicked".to_owned(),
                        Err(_) => "no answer in time".to_owned(),
                    };
                    tracing::debug!(%subscription, error, "queue depth unknown");
                    // What is not seen is no trend.
                    trend = Trend::default();
                    continue;
                }
            };
            let performers = self.registered.wanted();
            let counts = self.statuses.counts();
            let busy = counts.get(&self.run).map_or(0, |count| count.busy);
            let look = DepthSample {
                depth,
                performers,
                busy,
            };
            if let Some(wanted) = trend.decide(look, range) {
                tracing::info!(%subscription, depth, from = performers, to = wanted, "changing the number of performers");
                self.registered.wanted.send_replace(wanted);
                self.statuses.changed();
            }
        }
    }
}

/// Give or take a fifth.
fn with_jitter(time: Duration) -> Duration {
    // A hasher with keys of its own is as random as this needs.
    let random = RandomState::new().build_hasher().finish() % 401;
    time * (800 + u32::try_from(random).unwrap_or(200)) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the decisions after these looks, each a depth and how many are busy; performers as they are decided.
    fn decided(begin: usize, range: Performers, looks: &[(u64, usize)]) -> Vec<usize> {
        let (mut trend, mut performers) = (Trend::default(), begin);
        let mut all = Vec::new();
        for &(depth, busy) in looks {
            let look = DepthSample {
                depth,
                performers,
                busy: busy.min(performers),
            };
            performers = trend.decide(look, range).unwrap_or(performers);
            all.push(performers);
        }
        all
    }

    /// The point of a case, its performers at first, its looks, and the performers after each.
    type Case = (&'static str, usize, &'static [(u64, usize)], &'static [usize]);

    #[test]
    fn decisions() {
        let range = Performers::from(2..=8);
        let table: &[Case] = &[
            (
                "a burst alone changes nothing",
                2,
                &[(100, 2), (0, 2), (100, 2)],
                &[2, 2, 2],
            ),
            (
                "what stays brings half as many again",
                2,
                &[(100, 2), (100, 2), (100, 3), (100, 3)],
                &[2, 3, 3, 5],
            ),
            ("what grows, too", 4, &[(100, 4), (200, 4)], &[4, 6]),
            (
                "up to the most",
                7,
                &[(100, 7), (100, 7), (100, 8), (100, 8)],
                &[7, 8, 8, 8],
            ),
            (
                "what is nearly worked off needs nobody",
                2,
                &[(300, 2), (200, 2), (100, 2), (3, 2)],
                &[2, 2, 2, 2],
            ),
            ("what falls slowly does", 2, &[(1000, 2), (990, 2)], &[2, 3]),
            (
                "one waiting for each is no backlog",
                4,
                &[(4, 4), (4, 4), (4, 4)],
                &[4, 4, 4],
            ),
        ];
        for (what, begin, looks, expected) in table {
            assert_eq!(decided(*begin, range, looks), *expected, "{what}");
        }
    }

    #[test]
    fn an_idle_minute_removes_a_performer_and_work_resets_it() {
        let range = Performers::from(2..=8);
        let idle = [(0, 1); 12];
        assert_eq!(decided(4, range, &idle).last(), Some(&3));
        assert_eq!(decided(4, range, &idle[..11]).last(), Some(&4));
        let mut interrupted = [(0, 1); 23];
        interrupted[11] = (0, 4);
        assert_eq!(decided(4, range, &interrupted).last(), Some(&4));
        assert_eq!(decided(2, range, &idle).last(), Some(&2), "not below the least");
    }

    #[test]
    fn all_busy_with_nothing_waiting_is_not_idle() {
        assert_eq!(
            decided(4, Performers::from(2..=8), &[(0, 4); 50]).last(),
            Some(&4)
        );
    }

    #[test]
    fn a_number_that_is_out_of_range_comes_back() {
        let range = Performers::from(2..=4);
        assert_eq!(decided(8, range, &[(100, 8), (100, 8)]).last(), Some(&4));
    }

    #[test]
    fn jitter_is_a_fifth_at_most() {
        for _ in 0..100 {
            let time = with_jitter(LOOK_EVERY);
            assert!(
                time >= Duration::from_secs(4) && time <= Duration::from_secs(6),
                "{time:?}"
            );
        }
    }
}
