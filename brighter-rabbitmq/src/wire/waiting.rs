//! The due time of a message whose delay is longer than the longest of one queue.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use lapin::types::AMQPValue;

use super::Original;
use super::amqp::{headers_of, known};
use super::name::NOT_BEFORE;
use super::value;
use brighter_core::__private::clock::NEVER;

/// Returns the properties with the due time of a message after a delay of at most a hundred years.
pub(crate) fn not_before(properties: BasicProperties, now: SystemTime, delay: Duration) -> BasicProperties {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let due = since.saturating_add(delay).as_nanos().div_ceil(1_000_000);
    let mut headers = headers_of(&properties);
    // A time that exceeds the number is beyond any delay that is allowed: see `Delivery::requeue`.
    if let Ok(due) = i64::try_from(due) {
        headers.insert(known(NOT_BEFORE), AMQPValue::LongLongInt(due));
    }
    properties.with_headers(headers)
}

/// Returns how long the message is not due yet, if it has a due time. A time beyond a hundred years is invalid, and is
/// ignored. Few messages have a due time, and for the others the clock is not read.
pub(crate) fn still_waits(original: &Original, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let headers = original.properties.headers().as_ref()?;
    let due = value::integer(headers.inner().get(NOT_BEFORE)?)?;
    let due = UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(due).ok()?))?;
    let left = due.duration_since(now()).ok()?;
    (!left.is_zero() && left <= NEVER).then_some(left)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn due(value: AMQPValue) -> Original {
        let mut headers = headers_of(&BasicProperties::default());
        headers.insert(known(NOT_BEFORE), value);
        Original {
            routing_key: "queue".into(),
            properties: BasicProperties::default().with_headers(headers),
            body: Bytes::new(),
        }
    }

    #[test]
    fn a_message_waits_until_it_is_due_and_never_less() {
        let now = UNIX_EPOCH + Duration::from_nanos(1_790_000_000_123_456_789);
        for delay in [
            Duration::from_nanos(1),
            Duration::from_secs(90),
            NEVER - Duration::from_secs(1),
        ] {
            let properties = not_before(BasicProperties::default(), now, delay);
            let original = Original {
                properties,
                ..due(AMQPValue::Void)
            };
            let left = still_waits(&original, || now).expect("it waits");
            assert!(
                delay <= left && left < delay + Duration::from_millis(1),
                "{left:?}"
            );
            let later = now + delay + Duration::from_millis(1);
            assert_eq!(still_waits(&original, || later), None);
        }
    }

    #[test]
    fn nonsense_does_not_wait() {
        for value in [
            AMQPValue::LongLongInt(0),
            AMQPValue::LongLongInt(-1),
            AMQPValue::LongLongInt(i64::MIN),
            AMQPValue::LongLongInt(i64::MAX),
            AMQPValue::LongString("tomorrow".into()),
            AMQPValue::Void,
        ] {
            assert_eq!(
                still_waits(&due(value.clone()), SystemTime::now),
                None,
                "{value:?}"
            );
        }
    }
}
