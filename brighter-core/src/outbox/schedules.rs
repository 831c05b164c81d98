//! [`Schedules`]: the capability of an outbox to keep schedules of recurring work beside its messages.

use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::OutboxError;
use crate::id::MessageId;
use crate::message::Message;

/// Keeps schedules of recurring work beside the messages: see [`Outbox::schedules`](super::Outbox::schedules).
///
/// A schedule is a row, and the store does not interpret it. The caller reads the rows that are due, and makes the
/// messages and the next times. Then [`apply_schedules`](Self::apply_schedules) deposits the messages and writes the rows in one
/// transaction, each only if its version is still the one that was read. So of several callers one succeeds, and after
/// a crash there are both, or neither.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot keep schedules",
    label = "does not implement `Schedules`",
    note = "implement `brighter::outbox::Schedules` for `{Self}` (`due_schedules`, `find_schedules`, `list_schedules` and `apply_schedules`), and return it from the method of `Outbox` that reaches it"
)]
pub trait Schedules: Send + Sync {
    /// Returns up to `limit` schedules that are due by the clock of the outbox, the first to become due first. Only
    /// schedules of [`Runtime`](ScheduleOrigin::Runtime) are returned, and those of this program's code. A call that
    /// finds nothing costs one look at an index.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn due_schedules<'a>(
        &'a self,
        program: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<DueSchedules, OutboxError>>;

    /// Returns the schedules with these names, in any order.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn find_schedules<'a>(
        &'a self,
        names: &'a [String],
    ) -> BoxFuture<'a, Result<FoundSchedules, OutboxError>>;

    /// Returns up to `limit` schedules in the order of their names, which begin after this name.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn list_schedules<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<FoundSchedules, OutboxError>>;

    /// Makes each of these changes whose version is still that of the schedule, and deposits its messages, all in one
    /// transaction. Returns which changes were made, in their order. No name may be in two changes.
    ///
    /// A message whose id the outbox already holds is left out, whatever its content: the schedule and the instant
    /// are the identity of an occurrence.
    ///
    /// # Errors
    /// See [`OutboxError`]. Then none was made.
    fn apply_schedules<'a>(
        &'a self,
        changes: &'a [ScheduleChange],
    ) -> BoxFuture<'a, Result<Vec<bool>, OutboxError>>;
}

/// One schedule, as an outbox keeps it. Times have a precision of milliseconds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScheduleRow {
    /// The name, at most 200 bytes. No two schedules of an outbox share one.
    pub name: String,
    /// Where the schedule comes from.
    pub origin: ScheduleOrigin,
    /// The cron expression.
    pub expression: String,
    /// The name of the time zone.
    pub zone: String,
    /// The rest of the settings, in a form that the store does not interpret.
    pub settings: String,
    /// The message that each occurrence copies, for a schedule of [`Runtime`](ScheduleOrigin::Runtime).
    pub template: Option<Message>,
    /// Whether it fires.
    pub state: ScheduleState,
    /// The next occurrence; `None` if there is none, or if the schedule is paused.
    pub next_at: Option<SystemTime>,
    /// The time at which somebody asked for a run outside of the schedule.
    pub run_at: Option<SystemTime>,
    /// The time from which the schedule is due.
    pub due_at: Option<SystemTime>,
    /// The last occurrence that was fired.
    pub last_at: Option<SystemTime>,
    /// The id of its message.
    pub last_id: Option<MessageId>,
    /// The number of changes so far.
    pub version: u64,
}

impl ScheduleRow {
    /// Returns a schedule that is active and has no occurrence yet.
    #[must_use]
    pub fn new(name: impl Into<String>, origin: ScheduleOrigin, expression: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            origin,
            expression: expression.into(),
            zone: "UTC".into(),
            settings: String::new(),
            template: None,
            state: ScheduleState::Active,
            next_at: None,
            run_at: None,
            due_at: None,
            last_at: None,
            last_id: None,
            version: 0,
        }
    }
}

/// Where a schedule comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScheduleOrigin {
    /// The code of a program, which also makes the message of each occurrence.
    #[non_exhaustive]
    Code {
        /// The name of the program, which is empty unless several programs share the outbox.
        program: String,
    },
    /// Added at run time, with a message to copy. Every process can fire it.
    Runtime,
}

impl ScheduleOrigin {
    /// Returns the origin of a schedule that is in the code of this program.
    #[must_use]
    pub fn code(program: impl Into<String>) -> Self {
        let program = program.into();
        Self::Code { program }
    }

    /// Returns the name of the program whose code has the schedule.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        match self {
            Self::Code { program } => Some(program),
            Self::Runtime => None,
        }
    }
}

/// Whether a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScheduleState {
    /// Fires at each occurrence.
    Active,
    /// A person has paused it.
    Paused,
    /// The code of the program does not have it any more. It is paused, and starts again when the code has it again.
    Gone,
}

/// The answer of [`Schedules::due_schedules`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DueSchedules {
    /// The due schedules, the first to become due first.
    pub rows: Vec<ScheduleRow>,
    /// The time by the clock of the outbox; `None` if no schedule is waiting or due.
    pub now: Option<SystemTime>,
    /// The time at which the first schedule becomes due that is not among the rows, if that is known.
    pub next: Option<SystemTime>,
}

impl DueSchedules {
    /// Returns the schedules that are due at this time.
    #[must_use]
    pub fn new(rows: Vec<ScheduleRow>, now: SystemTime) -> Self {
        Self {
            rows,
            now: Some(now),
            next: None,
        }
    }

    /// Sets the time at which the next schedule becomes due.
    #[must_use]
    pub fn with_next(self, next: Option<SystemTime>) -> Self {
        Self { next, ..self }
    }
}

/// Schedules, and the time by the clock of the outbox.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FoundSchedules {
    /// The schedules.
    pub rows: Vec<ScheduleRow>,
    /// The time by the clock of the outbox.
    pub now: SystemTime,
}

impl FoundSchedules {
    /// Returns these schedules, found at this time by the clock of the outbox.
    #[must_use]
    pub fn new(rows: Vec<ScheduleRow>, now: SystemTime) -> Self {
        Self { rows, now }
    }
}

/// A change of one schedule. The version in its row is the version that was read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ScheduleChange {
    /// Adds a schedule, unless there is one of its name.
    #[non_exhaustive]
    Add {
        /// The new schedule, which gets version 1.
        row: ScheduleRow,
    },
    /// Replaces everything but the name.
    #[non_exhaustive]
    Replace {
        /// The new content.
        row: ScheduleRow,
    },
    /// Writes the state and the times, and deposits the messages.
    #[non_exhaustive]
    Advance {
        /// The new times. The other columns of the row are not written.
        row: ScheduleRow,
        /// The messages of the occurrences.
        messages: Vec<Message>,
    },
    /// Removes the schedule.
    #[non_exhaustive]
    Remove {
        /// The schedule.
        row: ScheduleRow,
    },
}

impl ScheduleChange {
    /// Returns a change that adds a schedule.
    #[must_use]
    pub fn add(row: ScheduleRow) -> Self {
        Self::Add { row }
    }

    /// Returns a change that replaces everything but the name.
    #[must_use]
    pub fn replace(row: ScheduleRow) -> Self {
        Self::Replace { row }
    }

    /// Returns a change of the state and the times, with the messages of occurrences.
    #[must_use]
    pub fn advance(row: ScheduleRow, messages: Vec<Message>) -> Self {
        Self::Advance { row, messages }
    }

    /// Returns a change that removes a schedule.
    #[must_use]
    pub fn remove(row: ScheduleRow) -> Self {
        Self::Remove { row }
    }

    /// Returns the schedule that it changes.
    #[must_use]
    pub fn row(&self) -> &ScheduleRow {
        match self {
            Self::Add { row } | Self::Replace { row } | Self::Advance { row, .. } | Self::Remove { row } => {
                row
            }
        }
    }

    /// Returns the messages that it deposits.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        match self {
            Self::Advance { messages, .. } => messages,
            _ => &[],
        }
    }
}
