//! The cron expressions of [brighter]: checked, in words, and in a time zone.
//!
//! An application uses them through the crate `brighter` with the feature `schedule`.
//!
//! # Expressions
//! An expression has five fields, or is one of `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly`.
//!
//! | field | values | also |
//! |---|---|---|
//! | minute | 0 to 59 | |
//! | hour | 0 to 23 | |
//! | day of month | 1 to 31 | `L`, the last day; `15W`, the weekday nearest to the 15th |
//! | month | 1 to 12, or `JAN` to `DEC` | |
//! | day of week | 0 to 7, or `SUN` to `SAT` | `FRI#2`, the second Friday; `FRIL`, the last one |
//!
//! Each takes `*`, lists (`1,15`), ranges (`1-5`) and steps (`*/5`, `8-18/2`). If the day of month and the day of week
//! are both set, a day that matches either one matches; with `+` before the day of week, both must match.
//!
//! # Clock changes
//! An expression with `*` or `*/n` as its minute or its hour **follows real time**. It comes at each minute of real time whose local
//! time matches: not at all for local times that are left out, and twice for local times that come twice.
//!
//! Every other expression **names local times**. It comes once for each: at the end of the gap if the local time is left out,
//! and at the first of the two if it comes twice. Two times in one gap come once, together with the time at its end.
//!
//! [brighter]: https://docs.rs/brighter
#![cfg_attr(docsrs, feature(doc_cfg))]

mod expression;

#[cfg(feature = "zones")]
pub use expression::{Calendar, ZoneError};
pub use expression::{Cron, CronError};
