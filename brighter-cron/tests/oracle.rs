//! The times of an expression equal those of a walk from minute to minute, which knows nothing of croner.
//!
//! `BRIGHTER_FAULTS=full` takes 500 expressions, 20 zones and three years. Build it with optimisation then. `BRIGHTER_SEED` chooses others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use brighter_cron::{Calendar, Cron};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const ZONES: [&str; 20] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "UTC",
    "America/Santiago",
    "Antarctica/Troll",
    "Europe/Dublin",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Cairo",
    "America/Sao_Paulo",
    "Asia/Tehran",
    "Pacific/Chatham",
    "America/St_Johns",
    "Asia/Beirut",
    "America/Havana",
    "Asia/Gaza",
    "Europe/London",
    "Asia/Kolkata",
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, which are included.
    fn within(&mut self, low: u32, high: u32) -> u32 {
        low + (self.next() % u64::from(high - low + 1)) as u32
    }
}

/// The text of a field, and the values that it takes, as bits.
struct Values {
    text: String,
    bits: u64,
}

impl Values {
    fn has(&self, value: u32) -> bool {
        self.bits >> value & 1 == 1
    }

    /// `stars` of ten are `*` or `*/n`.
    fn any(random: &mut Random, low: u32, high: u32, stars: u32) -> Self {
        let all = || (low..=high).fold(0, |bits, value| bits | 1 << value);
        if random.within(0, 9) < stars {
            if random.within(0, 1) == 0 {
                return Self {
                    text: "*".into(),
                    bits: all(),
                };
            }
            let step = random.within(2, (high - low).min(20));
            let bits = (low..=high)
                .step_by(step as usize)
                .fold(0, |bits, value| bits | 1 << value);
            return Self {
                text: format!("*/{step}"),
                bits,
            };
        }
        let mut parts = Vec::new();
        let mut bits = 0;
        for _ in 0..[1, 1, 1, 2, 3][random.within(0, 4) as usize] {
            let start = random.within(low, high);
            let end = random.within(start, high);
            match random.within(0, 4) {
                0 if end > start => {
                    parts.push(format!("{start}-{end}"));
                    bits = (start..=end).fold(bits, |bits, value| bits | 1 << value);
                }
                1 if end > start + 1 => {
                    let step = random.within(1, end - start);
                    parts.push(format!("{start}-{end}/{step}"));
                    let values = (start..=end).step_by(step as usize);
                    bits = values.fold(bits, |bits, value| bits | 1 << value);
                }
                _ => {
                    parts.push(start.to_string());
                    bits |= 1 << start;
                }
            }
        }
        Self {
            text: parts.join(","),
            bits,
        }
    }
}

/// A day as the two day fields see it.
struct Day {
    date: Date,
}

impl Day {
    fn last(&self) -> u32 {
        self.date.days_in_month() as u32
    }

    fn weekday(&self) -> u32 {
        self.date.weekday().to_sunday_zero_offset() as u32
    }
}

enum DayOfMonth {
    Values(Values),
    Last,
    /// The weekday nearest to this day.
    Near(u32),
}

impl DayOfMonth {
    fn any(random: &mut Random) -> Self {
        match random.within(0, 19) {
            0 => Self::Last,
            1 => Self::Near(random.within(1, 28)),
            _ => Self::Values(Values::any(random, 1, 31, 6)),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Values(values) => values.text.clone(),
            Self::Last => "L".into(),
            Self::Near(day) => format!("{day}W"),
        }
    }

    fn matches(&self, day: &Day) -> bool {
        let number = day.date.day() as u32;
        match self {
            Self::Values(values) => values.has(number),
            Self::Last => number == day.last(),
            Self::Near(wanted) => {
                let wanted = Date::new(day.date.year(), day.date.month(), *wanted as i8).unwrap();
                let nearest = match wanted.weekday().to_sunday_zero_offset() {
                    6 if wanted.day() == 1 => 3,
                    6 => wanted.day() - 1,
                    0 if wanted.day() == wanted.days_in_month() => wanted.day() - 2,
                    0 => wanted.day() + 1,
                    _ => wanted.day(),
                };
                number == nearest as u32
            }
        }
    }
}

enum DayOfWeek {
    Values(Values),
    /// A weekday, and the how many-th of the month it is.
    Nth(u32, u32),
    Last(u32),
}

impl DayOfWeek {
    fn any(random: &mut Random) -> Self {
        match random.within(0, 19) {
            0 => Self::Nth(random.within(0, 6), random.within(1, 5)),
            1 => Self::Last(random.within(0, 6)),
            _ => {
                let mut values = Values::any(random, 0, 6, 6);
                // Steps of a week mean little, and 7 is Sunday too.
                if values.text.starts_with("*/") {
                    values = Values {
                        text: "7,WED".into(),
                        bits: 0b1001,
                    };
                }
                Self::Values(values)
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Values(values) => values.text.clone(),
            Self::Nth(weekday, nth) => format!("{weekday}#{nth}"),
            Self::Last(weekday) => format!("{weekday}L"),
        }
    }

    fn matches(&self, day: &Day) -> bool {
        let number = day.date.day() as u32;
        match self {
            Self::Values(values) => values.has(day.weekday()),
            Self::Nth(weekday, nth) => day.weekday() == *weekday && number.div_ceil(7) == *nth,
            Self::Last(weekday) => day.weekday() == *weekday && number + 7 > day.last(),
        }
    }
}

struct Expression {
    minute: Values,
    hour: Values,
    day_of_month: DayOfMonth,
    month: Values,
    day_of_week: DayOfWeek,
    both: bool,
}

impl Expression {
    fn any(random: &mut Random) -> Self {
        Self {
            minute: Values::any(random, 0, 59, 2),
            hour: Values::any(random, 0, 23, 3),
            day_of_month: DayOfMonth::any(random),
            month: Values::any(random, 1, 12, 8),
            day_of_week: DayOfWeek::any(random),
            both: random.within(0, 9) == 0,
        }
    }

    fn text(&self) -> String {
        let plus = if self.both { "+" } else { "" };
        [
            self.minute.text.clone(),
            self.hour.text.clone(),
            self.day_of_month.text(),
            self.month.text.clone(),
            format!("{plus}{}", self.day_of_week.text()),
        ]
        .join(" ")
    }

    fn follows_real_time(&self) -> bool {
        self.minute.text.contains('*') || self.hour.text.contains('*')
    }

    fn matches_day(&self, day: &Day) -> bool {
        if !self.month.has(day.date.month() as u32) {
            return false;
        }
        let (of_month, of_week) = (self.day_of_month.matches(day), self.day_of_week.matches(day));
        match (self.day_of_month.text() == "*", self.day_of_week.text() == "*") {
            _ if self.both => of_month && of_week,
            (true, true) => true,
            (true, false) => of_week,
            (false, true) => of_month,
            (false, false) => of_month || of_week,
        }
    }
}

const DAY: i64 = 24 * 60;

/// The local minute of each real minute, counted from 1970 both.
struct Walk {
    start: i64,
    local: Vec<i64>,
}

impl Walk {
    fn new(zone: &TimeZone, start: i64, minutes: i64) -> Self {
        let local = (start - 1..start + minutes).map(|minute| {
            let offset = zone.to_offset(Timestamp::from_second(minute * 60).unwrap());
            (minute * 60 + i64::from(offset.seconds())).div_euclid(60)
        });
        Self {
            start,
            local: local.collect(),
        }
    }

    /// Every real minute at which the expression comes.
    fn times(&self, expression: &Expression) -> Vec<i64> {
        let first_day = self.local.iter().min().unwrap().div_euclid(DAY);
        let last_day = self.local.iter().max().unwrap().div_euclid(DAY);
        let days: Vec<bool> = (first_day..=last_day)
            .map(|day| {
                let date = Timestamp::from_second(day * DAY * 60).unwrap();
                let date = TimeZone::UTC.to_datetime(date).date();
                expression.matches_day(&Day { date })
            })
            .collect();
        let matches = |local: i64| {
            expression.minute.has(local.rem_euclid(60) as u32)
                && expression.hour.has((local.div_euclid(60)).rem_euclid(24) as u32)
                && days[(local.div_euclid(DAY) - first_day) as usize]
        };
        let follows_real_time = expression.follows_real_time();
        let mut latest = self.local[0];
        let mut times = Vec::new();
        let mut at = 1;
        while let Some(&local) = self.local.get(at) {
            // A day without a match and without a clock change has nothing in it.
            let is_midnight = local.rem_euclid(DAY) == 0 && local > latest;
            let tomorrow = self.local.get(at + DAY as usize);
            if is_midnight
                && !days[(local.div_euclid(DAY) - first_day) as usize]
                && tomorrow.is_some_and(|tomorrow| tomorrow - local == DAY)
                && local == latest + 1
            {
                latest = local + DAY - 1;
                at += DAY as usize;
                continue;
            }
            let comes = if follows_real_time {
                matches(local)
            } else {
                // Local minutes that were left out, and this one, unless it has been before.
                (latest + 1..=local).any(matches)
            };
            latest = latest.max(local);
            if comes {
                times.push(self.start + at as i64 - 1);
            }
            at += 1;
        }
        times
    }

    fn changes_near(&self, minute: i64) -> bool {
        let at = (minute - self.start) as usize + 1;
        let (from, to) = (
            at.saturating_sub(2 * DAY as usize),
            (at + 2 * DAY as usize).min(self.local.len() - 1),
        );
        self.local[to] - self.local[from] != (to - from) as i64
    }
}

#[test]
fn times_equal_a_walk_from_minute_to_minute() {
    let is_full = std::env::var("BRIGHTER_FAULTS").is_ok_and(|scale| scale == "full");
    let (expressions, zones, years) = if is_full { (500, 20, 3) } else { (40, 5, 1) };
    let seed = std::env::var("BRIGHTER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut random = Random(seed.unwrap_or(0));
    let mut chosen = Vec::new();
    while chosen.len() < expressions {
        let expression = Expression::any(&mut random);
        // Some never come, such as 31 February.
        if let Ok(cron) = Cron::parse(expression.text()) {
            chosen.push((expression, cron));
        }
    }
    let (mut checked, mut differences) = (0_u64, Vec::new());
    for name in &ZONES[..zones] {
        let year = 2008 + random.within(0, 20);
        let start = Date::new(year as i16, 1, 1)
            .unwrap()
            .to_zoned(TimeZone::UTC)
            .unwrap();
        let start = start.timestamp().as_second() / 60;
        let walk = Walk::new(&TimeZone::get(name).unwrap(), start, years * 366 * DAY);
        for (expression, cron) in &chosen {
            let calendar = Calendar::new(cron, name).unwrap();
            let mut before = start - 1;
            let times = walk.times(expression);
            for (at, time) in times.iter().enumerate() {
                // Where the clocks change, and some of the others.
                let is_rare = at < if is_full { 1_000 } else { 100 };
                let is_near = (is_full || times.len() < 20_000) && walk.changes_near(*time);
                if is_rare || is_near || at % 97 == 0 {
                    checked += 1;
                    let next = calendar.next(before * 60_000);
                    if next != Some(*time * 60_000) && differences.len() < 20 {
                        let shown = |time: i64| calendar.local(time);
                        differences.push(format!(
                            "`{cron}` in {name}: {:?}, not {:?}",
                            next.map(shown),
                            shown(*time * 60_000)
                        ));
                    }
                }
                before = *time;
            }
        }
        if is_full {
            println!(
                "{name}: {checked} times checked, {} differences",
                differences.len()
            );
        }
    }
    println!(
        "{} expressions, {zones} zones, {years} years: {checked} times checked",
        chosen.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(checked > 10_000);
}

#[test]
fn a_local_time_comes_twice_when_clocks_go_back() {
    // In Havana the clock goes back from one to midnight.
    let cron = Cron::parse("0 */12 * * *").unwrap();
    let calendar = Calendar::new(&cron, "America/Havana").unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
    let first = at("2028-11-05T00:00:00-04:00");
    assert_eq!(calendar.next(first), Some(at("2028-11-05T00:00:00-05:00")));
}
