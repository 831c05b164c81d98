//! The settings of a schedule, and how a store keeps them.

use std::time::Duration;

use brighter_core::error::BoxError;
use brighter_cron::{Calendar, Cron};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::{MOST_MISSED, RecurringError};

/// How long a schedule name may be, in bytes.
const LONGEST_NAME: usize = 200;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The treatment of occurrences that no sweeper saw in time: all processes were down, or the database was. An
/// occurrence that is at most a minute late is not missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// They are left out.
    None,
    /// The last of them is made up for, if it is at most this late.
    Last {
        /// The largest delay.
        within: Duration,
    },
    /// All that are at most this late are made up for, one message for each, in their order.
    All {
        /// The largest delay.
        within: Duration,
        /// The largest number, from 1 to 1,000: the newest are taken.
        at_most: usize,
    },
}

/// The treatment of an occurrence while the last one is still being handled. It is over once an inbox has completed its
/// request, or after the [`overlap_timeout`](super::Recurring::overlap_timeout).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Its message is sent at once.
    Allow,
    /// The occurrence is left out.
    Skip,
    /// The occurrence waits until the last one is over. At most one waits: of those that come meanwhile, the newest.
    Queue,
}

/// The settings of a schedule besides its name and its expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScheduleSettings {
    pub(super) zone: String,
    pub(super) missed: Missed,
    pub(super) overlap: Overlap,
    pub(super) overlap_timeout: Duration,
    pub(super) jitter: Duration,
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self {
            zone: "UTC".into(),
            missed: Missed::Last { within: DAY },
            overlap: Overlap::Allow,
            overlap_timeout: DAY,
            jitter: Duration::ZERO,
        }
    }
}

/// The settings in the text of a row. What is missing is as by default, so that an older program can be understood.
#[derive(Serialize, Deserialize)]
#[serde(default)]
struct StoredSettings {
    missed_within_ms: Option<u64>,
    missed_at_most: usize,
    overlap: Overlap,
    overlap_timeout_ms: u64,
    jitter_ms: u64,
}

impl Default for StoredSettings {
    fn default() -> Self {
        Self::from(&ScheduleSettings::default())
    }
}

impl From<&ScheduleSettings> for StoredSettings {
    fn from(settings: &ScheduleSettings) -> Self {
        let (within, at_most) = match settings.missed {
            Missed::None => (None, 0),
            Missed::Last { within } => (Some(within), 1),
            // Told from the last one by a number that is one too high.
            Missed::All { within, at_most } => (Some(within), at_most + 1),
        };
        Self {
            missed_within_ms: within.map(millis),
            missed_at_most: at_most,
            overlap: settings.overlap,
            overlap_timeout_ms: millis(settings.overlap_timeout),
            jitter_ms: millis(settings.jitter),
        }
    }
}

fn millis(time: Duration) -> u64 {
    // As a database has numbers: 300 million years.
    u64::try_from(time.as_millis()).map_or(i64::MAX.unsigned_abs(), |time| time.min(i64::MAX.unsigned_abs()))
}

impl ScheduleSettings {
    /// Returns the settings as text, but for the zone.
    pub(super) fn to_text(&self) -> String {
        // Numbers and names only, which can always be written.
        serde_json::to_string(&StoredSettings::from(self)).unwrap_or_default()
    }

    pub(super) fn read(zone: &str, text: &str) -> Result<Self, BoxError> {
        let stored: StoredSettings = serde_json::from_str(text)?;
        let within = stored.missed_within_ms.map(Duration::from_millis);
        Ok(Self {
            zone: zone.to_owned(),
            missed: match (within, stored.missed_at_most) {
                (None, _) => Missed::None,
                (Some(within), 0 | 1) => Missed::Last { within },
                (Some(within), more) => {
                    let at_most = more - 1;
                    Missed::All { within, at_most }
                }
            },
            overlap: stored.overlap,
            overlap_timeout: Duration::from_millis(stored.overlap_timeout_ms),
            jitter: Duration::from_millis(stored.jitter_ms),
        })
    }

    /// Returns how much later than its occurrences a schedule of this name fires, in milliseconds: always the same,
    /// and less than the jitter.
    pub(super) fn delay_of(&self, name: &str) -> i64 {
        let spread = Uuid::new_v5(&NAMESPACE, name.as_bytes()).as_u128() as u64;
        let jitter = millis(self.jitter);
        i64::try_from(spread.checked_rem(jitter).unwrap_or(0)).unwrap_or(0)
    }

    /// Returns what is wrong with a schedule, and its calendar if that can be made.
    pub(super) fn check(&self, name: &str, cron: &Cron) -> (Vec<RecurringError>, Option<Calendar>) {
        let mut wrong = Vec::new();
        wrong.extend(wrong_with_name(name));
        let calendar = Calendar::new(cron, &self.zone);
        match &calendar {
            Err(error) => wrong.push(RecurringError::Zone {
                zone: error.zone.clone(),
            }),
            Ok(calendar) if !self.jitter.is_zero() => {
                let interval = calendar.shortest_interval(CHECKED_FROM).unwrap_or(Duration::MAX);
                if self.jitter >= interval {
                    let jitter = self.jitter;
                    wrong.push(RecurringError::Jitter { jitter, interval });
                }
            }
            Ok(_) => {}
        }
        match self.missed {
            Missed::Last { within } | Missed::All { within, .. } if within.is_zero() => {
                wrong.push(RecurringError::MissedWithinNothing);
            }
            _ => {}
        }
        if let Missed::All { at_most, .. } = self.missed {
            if !(1..=MOST_MISSED).contains(&at_most) {
                wrong.push(RecurringError::MissedAtMost { at_most });
            }
            if self.overlap != Overlap::Allow {
                wrong.push(RecurringError::MissedAllOverlap);
            }
        }
        if self.overlap_timeout.is_zero() {
            wrong.push(RecurringError::OverlapTimeout);
        }
        (wrong, calendar.ok())
    }
}

/// 1 January 2024: the interval of an expression is looked for from there.
const CHECKED_FROM: i64 = 1_704_067_200_000;

/// The namespace of the ids of occurrences.
pub(super) const NAMESPACE: Uuid = Uuid::from_u128(0x8c2f_3bb8_05a5_4c0e_9c61_7a4b_e2b0_6d11);

fn wrong_with_name(name: &str) -> Option<RecurringError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > LONGEST_NAME {
        "it has more than 200 bytes"
    } else if name.trim() != name {
        "it begins or ends with a space"
    } else if name.contains(char::is_control) {
        "it has a control character"
    } else {
        return None;
    };
    Some(RecurringError::Name { reason })
}

/// Writes the settings as methods of a value that has `settings: ScheduleSettings`.
macro_rules! setting_methods {
    () => {
        /// Sets the time zone by its name in the IANA database, such as `Europe/Berlin`; the default is UTC.
        pub fn time_zone(mut self, zone: impl Into<String>) -> Self {
            self.settings.zone = zone.into();
            self
        }

        /// Sets what becomes of missed occurrences. By default the last one is made up for, if it is at most a day late.
        pub fn missed(mut self, missed: $crate::schedule::Missed) -> Self {
            self.settings.missed = missed;
            self
        }

        /// Sets what becomes of an occurrence while the last one is still being handled. By default they overlap. Anything
        /// else needs an inbox, and `#[use_inbox]` on the handler.
        pub fn overlap(mut self, overlap: $crate::schedule::Overlap) -> Self {
            self.settings.overlap = overlap;
            self
        }

        /// Sets after which time an occurrence counts as over that nobody has completed, because its message became a
        /// dead letter for instance; the default is a day.
        pub fn overlap_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.overlap_timeout = timeout;
            self
        }

        /// Delays each occurrence by the same time, which follows from the name and is less than this. So schedules with
        /// one expression do not fire all at once.
        pub fn jitter(mut self, jitter: std::time::Duration) -> Self {
            self.settings.jitter = jitter;
            self
        }
    };
}

pub(super) use setting_methods;
