//! Expressions and their times: the only file that knows croner and jiff.

use std::borrow::Cow;
use std::fmt;
#[cfg(feature = "zones")]
use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil;
#[cfg(feature = "zones")]
use jiff::civil::DateTime;
#[cfg(feature = "zones")]
use jiff::tz::{AmbiguousOffset, TimeZone};
#[cfg(feature = "zones")]
use jiff::{SignedDuration, Timestamp};

/// The names of the fields, with their values.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31, `L`, or a day with `W`"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of week", "0 to 7, or SUN to SAT, with `#1` to `#5` or `L`"),
];

const NICKNAMES: [&str; 6] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];

/// A cron expression that was checked: see the [crate](crate) for its fields.
///
/// `cron!` of the crate `brighter` checks it when the program is compiled.
///
/// ```
/// use brighter_cron::Cron;
///
/// let nightly = Cron::parse("30 2 * * MON-FRI")?;
/// assert_eq!(nightly.words(), "At 02:30, on Monday, Tuesday, Wednesday, Thursday, and Friday.");
/// assert!(Cron::parse("0 0 31 2 *").is_err()); // there is no 31 February
/// # Ok::<(), brighter_cron::CronError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cron(Cow<'static, str>);

/// Why a text is no cron expression that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// The expression does not have five fields.
    #[error(
        "the cron expression `{expression}` has {found} fields; write five: minute, hour, day of month, month, day of week"
    )]
    Fields {
        /// The expression.
        expression: String,
        /// The number of its fields.
        found: usize,
    },
    /// The expression has a field for seconds, and would come more often than once a minute.
    #[error(
        "the cron expression `{expression}` has a field for seconds, and a schedule comes at most once a minute; leave the \
         first field out, and repeat what must run more often in a loop of its own"
    )]
    TooFrequent {
        /// The expression.
        expression: String,
    },
    /// A field has a value that it cannot have.
    #[error(
        "the cron expression `{expression}` has `{value}` as its {field}; it takes {allowed}, `*`, lists, ranges and steps"
    )]
    Field {
        /// The expression.
        expression: String,
        /// The name of the field.
        field: &'static str,
        /// The text in the field.
        value: String,
        /// The values that the field takes.
        allowed: &'static str,
    },
    /// The expression begins with `@` and is none of the known names.
    #[error("the cron expression `{expression}` is unknown; write five fields, or one of {}", NICKNAMES.join(", "))]
    Nickname {
        /// The expression.
        expression: String,
    },
    /// No day ever matches the expression.
    #[error(
        "the cron expression `{expression}` never comes, because no such day exists; change its day of month or its month"
    )]
    NeverComes {
        /// The expression.
        expression: String,
    },
}

impl Cron {
    /// Checks an expression.
    ///
    /// # Errors
    /// See [`CronError`].
    pub fn parse(expression: impl Into<String>) -> Result<Self, CronError> {
        let expression = expression.into();
        let pattern = parsed(&expression)?;
        let start = civil::date(2000, 1, 1).at(0, 0, 0, 0);
        if pattern.find_next_occurrence(&start, true).is_err() {
            return Err(CronError::NeverComes { expression });
        }
        Ok(Self(expression.into()))
    }

    /// Returns an expression that `cron!` has checked.
    #[doc(hidden)]
    #[must_use]
    pub const fn checked(expression: &'static str) -> Self {
        Self(Cow::Borrowed(expression))
    }

    /// Returns the text of the expression.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what the expression means, in English.
    #[must_use]
    pub fn words(&self) -> String {
        parsed(&self.0).map_or_else(|error| error.to_string(), |pattern| pattern.describe())
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parsed(expression: &str) -> Result<croner::Cron, CronError> {
    let expression = expression.trim();
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let owned = || expression.to_owned();
    if expression.starts_with('@') {
        let is_known = NICKNAMES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(expression));
        let parsed = parser.parse(expression).ok().filter(|_| is_known);
        return parsed.ok_or_else(|| CronError::Nickname { expression: owned() });
    }
    let fields: Vec<_> = expression.split_whitespace().collect();
    match fields.len() {
        5 => {}
        6 | 7 => return Err(CronError::TooFrequent { expression: owned() }),
        found => {
            let expression = owned();
            return Err(CronError::Fields { expression, found });
        }
    }
    // One field at a time, so that the wrong one can be named.
    for (at, value) in fields.iter().enumerate() {
        let mut alone = ["*"; 5];
        alone[at] = value;
        if parser.parse(&alone.join(" ")).is_err() {
            let (field, allowed) = FIELDS[at];
            return Err(CronError::Field {
                expression: owned(),
                field,
                value: (*value).to_owned(),
                allowed,
            });
        }
    }
    // Each field is right, so together they are.
    parser.parse(expression).map_err(|_| {
        let (expression, found) = (owned(), fields.len());
        CronError::Fields { expression, found }
    })
}

/// Whether the minute or the hour is `*` or `*/n`.
#[cfg(feature = "zones")]
fn follows_real_time(expression: &str) -> bool {
    let expression = expression.trim();
    let mut fields = expression.split_whitespace();
    expression.eq_ignore_ascii_case("@hourly") || fields.by_ref().take(2).any(|field| field.contains('*'))
}

/// Why a time zone cannot be used.
#[cfg(feature = "zones")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the time zone `{zone}` is unknown; write a name of the IANA database, such as `Europe/Berlin`, or `UTC`"
)]
pub struct ZoneError {
    /// The name.
    pub zone: String,
}

/// The times at which an expression comes in a time zone. Times are milliseconds since 1970.
///
/// The rules of the zone are those of the machine, or those in this program where the machine has none.
#[cfg(feature = "zones")]
#[derive(Debug, Clone)]
pub struct Calendar {
    pattern: croner::Cron,
    zone: TimeZone,
    follows_real_time: bool,
}

#[cfg(feature = "zones")]
impl Calendar {
    /// Returns the times of this expression in a zone of the IANA database.
    ///
    /// # Errors
    /// The zone is unknown.
    pub fn new(cron: &Cron, zone: &str) -> Result<Self, ZoneError> {
        let unknown = || ZoneError {
            zone: zone.to_owned(),
        };
        // Jiff takes other texts for zones too, such as an offset.
        let is_name = zone.starts_with(|first: char| first.is_ascii_alphabetic());
        let found = TimeZone::get(zone).ok().filter(|_| is_name);
        Ok(Self {
            pattern: parsed(&cron.0).map_err(|_| unknown())?,
            zone: found.ok_or_else(unknown)?,
            follows_real_time: follows_real_time(&cron.0),
        })
    }

    /// Returns the first time after this one; `None` if it is beyond what a calendar holds.
    #[must_use]
    pub fn next(&self, after: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after).ok()?;
        let next = if self.follows_real_time {
            self.next_in_real_time(after)
        } else {
            self.next_named(after)
        };
        next.map(Timestamp::as_millisecond)
    }

    /// Returns the newest times in a range that includes its ends, in their order, and at most this many.
    #[must_use]
    pub fn newest(&self, from: i64, to: i64, most: usize) -> Vec<i64> {
        if most == 0 || from > to {
            return Vec::new();
        }
        // From a start that comes closer to `from` until there are enough, so that a long range costs little.
        let mut back = 60_000 * i64::try_from(most).unwrap_or(i64::MAX / 60_000);
        loop {
            let start = to.saturating_sub(back).max(from);
            let mut found = std::collections::VecDeque::new();
            let mut at = start - 1;
            while let Some(next) = self.next(at).filter(|next| *next <= to) {
                if found.len() == most {
                    found.pop_front();
                }
                found.push_back(next);
                at = next;
            }
            if found.len() == most || start == from {
                return found.into();
            }
            back = back.saturating_mul(4);
        }
    }

    /// Returns the shortest distance between two times that follow each other, among the next thousand.
    #[must_use]
    pub fn shortest_interval(&self, from: i64) -> Option<Duration> {
        let (mut at, mut shortest) = (self.next(from)?, None::<i64>);
        for _ in 0..1_000 {
            let Some(next) = self.next(at) else { break };
            shortest = Some(shortest.map_or(next - at, |shortest| shortest.min(next - at)));
            at = next;
        }
        shortest.map(|millis| Duration::from_millis(millis.unsigned_abs()))
    }

    /// Returns a time as RFC 3339 with the offset of the zone; `None` if no calendar holds it.
    #[must_use]
    pub fn local(&self, time: i64) -> Option<String> {
        let zoned = Timestamp::from_millisecond(time)
            .ok()?
            .to_zoned(self.zone.clone());
        Some(zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }

    /// Returns whether the clock change moved this time: its local time does not match the expression.
    #[must_use]
    pub fn is_moved(&self, time: i64) -> bool {
        let Ok(time) = Timestamp::from_millisecond(time) else {
            return false;
        };
        !self.pattern.is_time_matching(&self.civil(time)).unwrap_or(false)
    }

    fn civil(&self, time: Timestamp) -> DateTime {
        self.zone.to_datetime(time)
    }

    /// Returns the first local time that matches: at this one, or after it.
    fn matching(&self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        // Croner looks at whole seconds.
        let is_whole = from.subsec_nanosecond() == 0;
        self.pattern
            .find_next_occurrence(&from, inclusive && is_whole)
            .ok()
    }

    fn next_named(&self, after: Timestamp) -> Option<Timestamp> {
        let mut local = self.matching(self.civil(after), false)?;
        loop {
            // Times never go back along local times, so the first that is later is the next.
            let time = self.named(local)?;
            if time > after {
                return Some(time);
            }
            local = self.matching(local, false)?;
        }
    }

    /// Returns the one time of a local time: the end of the gap in which it is, or the first if there are two.
    fn named(&self, local: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            // With the offset before the gap, the time is as far after its end as the local time is into it.
            AmbiguousOffset::Gap { before, .. } => {
                let later = before.to_timestamp(local).ok()?;
                let just_after = later.checked_add(SignedDuration::from_nanos(1)).ok()?;
                let gap = self.zone.preceding(just_after).next()?;
                Some(gap.timestamp())
            }
            _ => ambiguous.earlier().ok(),
        }
    }

    /// Looks through one stretch of time after the other in which the zone keeps its offset.
    fn next_in_real_time(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut start, mut inclusive) = (after, false);
        let mut known: Option<(DateTime, DateTime)> = None;
        loop {
            let offset = self.zone.to_offset(start);
            let end = self.zone.following(start).next().map(|change| change.timestamp());
            let from = offset.to_datetime(start);
            let local = match known {
                // What was found after an earlier local time is still ahead. One that begins where this stretch does
                // was left out before.
                Some((looked_from, found)) if looked_from < from && found >= from => found,
                _ => self.matching(from, inclusive)?,
            };
            let time = offset.to_timestamp(local).ok()?;
            match end {
                Some(end) if time >= end => {
                    known = Some((from, local));
                    (start, inclusive) = (end, true);
                }
                _ => return Some(time),
            }
        }
    }
}
