//! Why a schedule cannot be used, or could not be changed.

use std::time::Duration;

use brighter_core::error::BoxError;
use brighter_core::outbox::OutboxError;

/// The largest number of missed occurrences that are made up for.
pub(super) const MOST_MISSED: usize = 1_000;

/// A fault of a schedule.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecurringError {
    /// The name cannot be that of a schedule.
    #[error(
        "its name cannot be used: {reason}; use 1 to 200 bytes, without control characters and spaces around them"
    )]
    Name {
        /// The reason.
        reason: &'static str,
    },
    /// Two schedules have one name.
    #[error("another schedule has the same name; rename one of them")]
    SameName,
    /// The time zone is unknown.
    #[error(
        "the time zone `{zone}` is unknown; write a name of the IANA database, such as `Europe/Berlin`, or leave it out for UTC"
    )]
    Zone {
        /// The name of the zone.
        zone: String,
    },
    /// The jitter is as long as the shortest time between two occurrences, or longer.
    #[error("the jitter {jitter:?} is not shorter than the {interval:?} between two occurrences; shorten it")]
    Jitter {
        /// The jitter.
        jitter: Duration,
        /// The shortest time between two occurrences.
        interval: Duration,
    },
    /// Missed occurrences are made up for within no time at all.
    #[error("`within` of the missed occurrences is zero; write `Missed::None`, or a time")]
    MissedWithinNothing,
    /// The number of missed occurrences to make up for is out of range.
    #[error("`at_most` of the missed occurrences is {at_most}; it takes 1 to {MOST_MISSED}")]
    MissedAtMost {
        /// The number.
        at_most: usize,
    },
    /// All missed occurrences are made up for at once, and may not overlap.
    #[error(
        "`Missed::All` makes up for several occurrences at once, which would overlap; write `Missed::Last`, or `Overlap::Allow`"
    )]
    MissedAllOverlap,
    /// An occurrence is over after no time at all.
    #[error(
        "`overlap_timeout` is zero, so no occurrence would ever overlap; write a time, or `Overlap::Allow`"
    )]
    OverlapTimeout,
    /// Occurrences may not overlap, and there is no inbox that knows which were handled.
    #[error(
        "its occurrences may not overlap, and there is no inbox that knows which were handled; add `.inbox(…)`, or write `Overlap::Allow`"
    )]
    OverlapWithoutInbox,
    /// Occurrences may not overlap, and the inbox cannot tell which were handled.
    #[error(
        "its occurrences may not overlap, and the inbox cannot tell which were handled; use an inbox with `Inbox::history`, or write `Overlap::Allow`"
    )]
    InboxWithoutHistory,
    /// Occurrences may not overlap, and a handler of the request leaves nothing in the inbox.
    #[error(
        "its occurrences may not overlap, and the handler `{handler}` leaves nothing in the inbox; put `#[use_inbox]` on it, or write `Overlap::Allow`"
    )]
    HandlerWithoutInbox {
        /// The type of the handler.
        handler: &'static str,
    },
    /// There is no outbox beside which the schedule could be kept.
    #[error(
        "there is no outbox; add `.outbox(…)`, or `.outbox(InMemoryOutbox::new())` if schedules may start anew with the process"
    )]
    NoOutbox,
    /// The outbox cannot keep schedules.
    #[error(
        "the outbox cannot keep schedules; use an outbox with `Outbox::schedules`, or remove `.recurring(…)`"
    )]
    OutboxWithoutSchedules,
    /// There is no broker, so nothing would be sent.
    #[error("there is no broker to which its messages are sent; add `.broker(…)`")]
    NoBroker,
}

/// Why schedules could not be read or changed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The processor has no outbox.
    #[error("this processor has no outbox, and so no schedules; add `.outbox(…)`")]
    NoOutbox,
    /// The outbox cannot keep schedules.
    #[error("the outbox cannot keep schedules; use an outbox with `Outbox::schedules`")]
    Unsupported,
    /// There is no schedule of this name.
    #[error("there is no schedule `{name}`; list them for the names")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The schedule cannot be used.
    #[error("invalid schedule `{name}`")]
    Invalid {
        /// The name.
        name: String,
        /// The fault of the schedule.
        #[source]
        source: RecurringError,
    },
    /// The request has an id of its own, and each occurrence has another.
    #[error(
        "the request of the schedule `{name}` has an id, which all its occurrences would share; use a request without one"
    )]
    OwnId {
        /// The name.
        name: String,
    },
    /// No message can be made of the request.
    #[error("the request of the schedule `{name}` cannot be posted")]
    Request {
        /// The name.
        name: String,
        /// The reason.
        #[source]
        source: BoxError,
    },
    /// The code of a program has the schedule, so it would come back.
    #[error(
        "the schedule `{name}` is in the code of a program; remove its `.recurring(…)` there, or pause it"
    )]
    InCode {
        /// The name.
        name: String,
    },
    /// No program has the schedule in its code any more.
    #[error(
        "the schedule `{name}` is in the code of no program any more; add its `.recurring(…)`, or remove it"
    )]
    Gone {
        /// The name.
        name: String,
    },
    /// The schedule is paused, so it has no next occurrence.
    #[error("the schedule `{name}` is paused, so it has no next occurrence; resume it first")]
    Paused {
        /// The name.
        name: String,
    },
    /// A program of another version wrote the schedule, or a person did.
    #[error("the schedule `{name}` cannot be read")]
    Unreadable {
        /// The name.
        name: String,
        /// The reason.
        #[source]
        source: BoxError,
    },
    /// Others changed the schedule all the time.
    #[error("the schedule `{name}` was changed by others at each attempt; try again")]
    Contended {
        /// The name.
        name: String,
    },
    /// The outbox could not be read or written.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

brighter_core::__private::readable_debug!(RecurringError, ScheduleError);
