//! [`Occurrence`]: one time of a schedule, as data.

use std::time::{Duration, SystemTime};

use brighter_core::__private::rfc3339;
use brighter_core::id::MessageId;
use brighter_core::message::{Bag, BagValue, MessageHeader};
use brighter_cron::Calendar;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::settings::NAMESPACE;

/// The header with the name of the schedule.
pub const SCHEDULE_NAME: &str = "scheduleName";
/// The header with the time of the occurrence, as RFC 3339 in UTC.
pub const SCHEDULED_FOR: &str = "scheduledFor";
/// The header with the time of the occurrence in its zone, as RFC 3339 with the offset.
pub const SCHEDULED_LOCAL: &str = "scheduledLocal";
/// The header with the name of the time zone.
pub const SCHEDULED_ZONE: &str = "scheduledZone";
/// The header with the time of the occurrence that was fired before.
pub const SCHEDULED_PREVIOUS: &str = "scheduledPrevious";
/// The header with the time of the next occurrence.
pub const SCHEDULED_NEXT: &str = "scheduledNext";
/// The header that says whether the occurrence was missed, and is made up for.
pub const SCHEDULED_MISSED: &str = "scheduledMissed";
/// The header that says whether a person asked for the run, outside of the schedule.
pub const SCHEDULED_ON_REQUEST: &str = "scheduledOnRequest";

/// One time of a schedule. Work for it, and not for the time at which the handler happens to run: an occurrence may
/// be late, or made up for, or handled again.
///
/// It is in the headers of the message too, where [`Occurrence::of`] finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Occurrence {
    /// The id of its message, which follows from the name of the schedule and the time.
    pub id: MessageId,
    /// The name of the schedule.
    pub schedule: String,
    /// The time for which it is scheduled.
    #[serde(with = "text")]
    pub scheduled_for: SystemTime,
    /// The scheduled time in the zone of the schedule, as RFC 3339 with the offset: `2026-10-25T02:30:00+02:00`.
    pub local: String,
    /// The name of the zone.
    pub zone: String,
    /// The occurrence that was fired before it.
    #[serde(with = "maybe_text", default)]
    pub previous: Option<SystemTime>,
    /// The occurrence after it.
    #[serde(with = "maybe_text", default)]
    pub next: Option<SystemTime>,
    /// Whether it was missed, and is made up for.
    pub is_missed: bool,
    /// Whether a person asked for this run, outside of the schedule.
    pub is_on_request: bool,
}

impl Occurrence {
    /// Returns the local date, as `2026-10-25`.
    #[must_use]
    pub fn date(&self) -> &str {
        self.local.split('T').next().unwrap_or_default()
    }

    /// Returns the occurrence of a message, by its headers; `None` if no schedule made it. In a handler, the header is
    /// `cx.get::<MessageHeader>()`.
    #[must_use]
    pub fn of(header: &MessageHeader) -> Option<Self> {
        let bag = &header.bag;
        let text = |name| bag.get(name).and_then(BagValue::as_str);
        let time = |name| text(name).and_then(rfc3339::read);
        let flag = |name| bag.get(name).and_then(BagValue::as_bool).unwrap_or(false);
        Some(Self {
            id: header.id.clone(),
            schedule: text(SCHEDULE_NAME)?.to_owned(),
            scheduled_for: time(SCHEDULED_FOR)?,
            local: text(SCHEDULED_LOCAL)?.to_owned(),
            zone: text(SCHEDULED_ZONE)?.to_owned(),
            previous: time(SCHEDULED_PREVIOUS),
            next: time(SCHEDULED_NEXT),
            is_missed: flag(SCHEDULED_MISSED),
            is_on_request: flag(SCHEDULED_ON_REQUEST),
        })
    }

    /// Writes it into the headers of its message.
    pub(super) fn write(&self, bag: &mut Bag) {
        bag.insert(SCHEDULE_NAME, self.schedule.clone());
        bag.insert(SCHEDULED_LOCAL, self.local.clone());
        bag.insert(SCHEDULED_ZONE, self.zone.clone());
        let times = [
            (SCHEDULED_FOR, Some(self.scheduled_for)),
            (SCHEDULED_PREVIOUS, self.previous),
            (SCHEDULED_NEXT, self.next),
        ];
        for (name, time) in times {
            if let Some(text) = time.and_then(rfc3339::write) {
                bag.insert(name, text);
            }
        }
        if self.is_missed {
            bag.insert(SCHEDULED_MISSED, true);
        }
        if self.is_on_request {
            bag.insert(SCHEDULED_ON_REQUEST, true);
        }
    }

    /// Returns the occurrence of a schedule at a time in milliseconds.
    pub(super) fn at(
        schedule: &str,
        time: i64,
        calendar: &Calendar,
        zone: &str,
        is_on_request: bool,
    ) -> Self {
        Self {
            id: id_of(schedule, time, is_on_request),
            schedule: schedule.to_owned(),
            scheduled_for: system_time(time),
            local: calendar.local(time).unwrap_or_default(),
            zone: zone.to_owned(),
            previous: None,
            next: None,
            is_missed: false,
            is_on_request,
        }
    }
}

/// Returns the id of an occurrence.
fn id_of(schedule: &str, time: i64, is_on_request: bool) -> MessageId {
    // No name contains the character between the parts.
    let kind = if is_on_request { "request" } else { "time" };
    let name = format!("{schedule}\0{kind}\0{time}");
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).into()
}

/// Returns the time this many milliseconds after 1970.
pub(super) fn system_time(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.max(0).unsigned_abs())
}

/// Returns the milliseconds from 1970 to this time.
pub(super) fn millis_of(time: SystemTime) -> i64 {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

/// A time as RFC 3339.
mod text {
    use std::time::SystemTime;

    use brighter_core::__private::rfc3339;
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        let text = rfc3339::write(*time).ok_or_else(|| ser::Error::custom("a time beyond the year 9999"))?;
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        rfc3339::read(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no time of RFC 3339")))
    }
}

/// A time as RFC 3339, or nothing.
mod maybe_text {
    use std::time::SystemTime;

    use brighter_core::__private::rfc3339;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.and_then(rfc3339::write).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let read = |text: String| {
            rfc3339::read(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no time of RFC 3339")))
        };
        text.map(read).transpose()
    }
}
