//! Recurring work: a message at each time of a cron expression, exactly one for each, whatever dies (feature
//! `schedule`).
//!
//! A schedule is a row beside the outbox. At each occurrence a sweeper deposits a message and advances the row, in one
//! transaction. The id of the message follows from the name of the schedule and the time of the occurrence. So any
//! number of processes may have the same schedules, and no leader is needed.
//!
//! ```
//! use std::time::Duration;
//!
//! use brighter::prelude::*;
//! use brighter::schedule::{Missed, Occurrence, Recurring, cron};
//!
//! #[derive(Debug, Serialize, Deserialize, Message)]
//! #[message(topic = "Report.Nightly")]
//! struct NightlyReport { of: Occurrence }
//!
//! impl From<Occurrence> for NightlyReport {
//!     fn from(of: Occurrence) -> Self { Self { of } }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let processor = CommandProcessor::builder()
//!     .broker(InMemoryBroker::new())
//!     .outbox(InMemoryOutbox::new())
//!     .recurring(
//!         Recurring::<NightlyReport>::new("nightly-report", cron!("30 2 * * MON-FRI"))
//!             .time_zone("Europe/Berlin")
//!             .missed(Missed::Last { within: Duration::from_secs(12 * 60 * 60) }),
//!     )
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Cron`] has the rules of expressions, and what becomes of them when clocks change. `ProcessorSchedules` pauses, resumes
//! and adds schedules while the program runs.

mod admin;
mod error;
mod firing;
mod make;
mod occurrence;
mod plan;
mod recurring;
mod registering;
mod settings;

pub use brighter_cron::{Cron, CronError};
#[cfg(feature = "macros")]
pub use brighter_macros::cron;

pub use admin::{AddSchedule, ProcessorSchedules, ScheduleInfo, Upcoming};
pub use brighter_core::outbox::{ScheduleOrigin, ScheduleState};
pub use error::{RecurringError, ScheduleError};
pub(crate) use firing::Scheduler;
pub use occurrence::{
    Occurrence, SCHEDULE_NAME, SCHEDULED_FOR, SCHEDULED_LOCAL, SCHEDULED_MISSED, SCHEDULED_NEXT,
    SCHEDULED_ON_REQUEST, SCHEDULED_PREVIOUS, SCHEDULED_ZONE,
};
pub use recurring::Recurring;
pub(crate) use recurring::{RecurringWork, Surroundings};
pub use settings::{Missed, Overlap};
