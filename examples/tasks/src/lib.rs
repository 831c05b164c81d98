//! The Tasks example: a reminder is posted over HTTP, kept in SQLite, carried by a broker, and mailed.
//!
//! Both ends share what is here. The API uses [`api`] and [`store`], the worker [`worker`], [`handler`] and
//! [`mail`]; [`message`] is all that they have to agree on.
//!
//! ```text
//!   POST /reminders                                                          <id>.eml, or SMTP
//!         │                                                                         ▲
//!   ┌─────▼──────┐  one   ┌─────────────────┐  sweeper   ┌────────┐  pump  ┌────────┴─────────┐
//!   │ api, store ├───────►│ SQLite: reminder│───────────►│ broker │───────►│ logging, breaker,│
//!   └────────────┘  tx    │ and outbox      │  confirmed └────────┘  ack   │ retry, handler   │
//!                         └─────────────────┘                 after done   └──────────────────┘
//! ```
//!
//! There is no mapper to write: the derive of [`TaskReminder`] makes it travel as JSON.

pub mod api;
pub mod handler;
pub mod mail;
pub mod message;
pub mod new_reminder;
mod request;
pub mod store;
pub mod worker;

pub use handler::MailTaskReminderHandler;
pub use mail::MailGateway;
pub use message::TaskReminder;
pub use new_reminder::NewReminder;
pub use store::ReminderStore;
