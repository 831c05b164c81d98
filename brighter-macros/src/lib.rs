//! The attributes and derives of [brighter](https://docs.rs/brighter), which re-exports all of them: depend on that
//! crate.
//!
//! With `BRIGHTER_MACROS_DEBUG=1` in the environment, the compiler prints the output of each macro.
//!
//! # Where the library is
//!
//! The macros write paths below `::brighter`. In a crate that has brighter under another name, or through another crate
//! that re-exports it, set the path with `crate = path`:
//!
//! | macro | |
//! |---|---|
//! | [`macro@handler`] | `#[handler(crate = queue)]`, `#[handler(Greet, crate = queue)]`; its steps follow it |
//! | [`Command`](macro@Command), [`Event`](macro@Event) | `#[command(crate = queue)]`, `#[event(crate = queue)]` |
//! | [`Message`](macro@Message) | `#[message(topic = "Greeting", crate = queue)]` |
//! | `cron!` | `cron!("@daily", crate = queue)` |
//! | [`macro@derive`] | `#[queue::derive(Message, topic = "Greeting", crate = queue)]` |
//!
//! ```
//! // In Cargo.toml: queue = { package = "brighter", version = "…" }
//! # extern crate brighter as queue;
//! use queue::prelude::*;
//!
//! #[derive(Command)]
//! #[command(crate = queue)]
//! struct Greet { name: String }
//!
//! struct GreetHandler;
//!
//! #[handler(crate = queue)]
//! impl Handler<Greet> for GreetHandler {
//!     #[queue::use_policy(retry, step = 1)]
//!     async fn handle(&self, greet: &Greet) -> Result<(), std::io::Error> {
//!         println!("Hello, {}", greet.name);
//!         Ok(())
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! The path may begin with the name of a crate, with `crate` or with `::`; a `macro_rules` of a crate that re-exports
//! brighter writes `crate = $crate::brighter`. One line at the root of a crate does the same for all of its macros:
//! `extern crate queue as brighter;`.
//!
//! # `cfg`
//!
//! A step may be in a `cfg_attr`, and there may be several methods `handle` if `cfg` leaves one of them. A step that is
//! configured away has no layer, and its number is free.

mod alone;
mod args;
mod condition;
#[cfg(feature = "schedule")]
mod cron;
mod duration;
mod externs;
mod generics;
mod handler;
mod invisible;
mod item;
mod library;
mod lints;
mod message;
mod nearest;
mod path;
mod shell;
mod step;
#[cfg(test)]
mod tests;

use message::Derive;
use proc_macro::TokenStream;

/// Makes a struct or an enum a command: exactly one handler handles it, and it never leaves the process.
///
/// ```
/// use brighter::prelude::*;
///
/// #[derive(Command)]
/// #[command(reply = Invoice)]                      // what `send` gives back; `()` unless said
/// struct MakeInvoice { id: MessageId, customer: String }
///
/// struct Invoice { total: u64 }
/// ```
///
/// A field named `id` is the identity of the command, and is a
/// [`MessageId`](https://docs.rs/brighter/latest/brighter/struct.MessageId.html). `#[command(id)]` marks another field
/// as the identity. With `#[command(no_id)]` above the struct, a field named `id` has no special meaning.
///
/// ```
/// # use brighter::prelude::*;
/// #[derive(Command)]
/// struct Remind { #[command(id)] reminder: MessageId }
///
/// #[derive(Command)]
/// #[command(no_id)]
/// struct Forget { id: u64 }
/// ```
///
/// `#[command(crate = path)]` sets [the path of the library](crate#where-the-library-is).
#[proc_macro_derive(Command, attributes(command, event, message))]
pub fn command(item: TokenStream) -> TokenStream {
    shell::run("#[derive(Command)]", |errors| {
        message::request(Derive::Command, item.into(), errors)
    })
}

/// Makes a struct or an enum an event: any number of handlers handle it, and it never leaves the process.
///
/// ```
/// use brighter::prelude::*;
///
/// #[derive(Event)]
/// enum TaskChanged { Due, Overdue }
/// ```
///
/// The id works as for [`Command`](macro@Command), with `#[event(id)]` and `#[event(no_id)]`. `#[event(crate = path)]`
/// sets [the path of the library](crate#where-the-library-is).
#[proc_macro_derive(Event, attributes(command, event, message))]
pub fn event(item: TokenStream) -> TokenStream {
    shell::run("#[derive(Event)]", |errors| {
        message::request(Derive::Event, item.into(), errors)
    })
}

/// Makes a struct or an enum a request that may leave the process: a command, unless `kind` sets another kind.
///
/// ```
/// use brighter::prelude::*;
///
/// #[derive(Serialize, Deserialize, Message)]
/// #[message(topic = "Task.Overdue", kind = "event")]
/// struct TaskOverdue { id: MessageId, task_name: String }
/// ```
///
/// | argument | |
/// |---|---|
/// | `topic = "Task.Overdue"` | the topic to which it is published; required |
/// | `type = "Task.Overdue.v2"` | the `type` of CloudEvents; the topic by default |
/// | `kind = "command"` | for one handler, the default; `"event"`, for many; `"document"`, data for many |
/// | `mapper = MyMapper` | the mapper between the request and its message; JSON by serde by default |
/// | `reply = Invoice` | for a command only: the type that its handler returns in process |
/// | `no_id` | a field named `id` has no special meaning |
/// | `crate = queue` | [the path of the library](crate#where-the-library-is); `::brighter` by default |
///
/// The id works as for [`Command`](macro@Command), with `#[message(id)]`.
#[proc_macro_derive(Message, attributes(command, event, message))]
pub fn message(item: TokenStream) -> TokenStream {
    shell::run("#[derive(Message)]", |errors| {
        message::request(Derive::Message, item.into(), errors)
    })
}

/// Extends the standard `derive` by the arguments of [`Message`](macro@Message), and by `crate = path` for every derive
/// of brighter.
///
/// ```
/// use brighter::derive;
/// use brighter::prelude::*;
///
/// #[derive(Debug, Clone, Serialize, Deserialize, Message, topic = "Task.Reminder")]
/// struct TaskReminder { id: MessageId, task_name: String }
/// ```
///
/// Import it by name in each module that needs it, or for the whole crate with
/// `#[macro_use(derive)] extern crate brighter;`. It is not in the prelude: a glob would make every `derive` ambiguous.
#[proc_macro_attribute]
pub fn derive(args: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[derive]", |errors| {
        message::derive(args.into(), &item.into(), errors)
    })
}

/// Makes a pipeline of a handler and the steps below this attribute.
///
/// On an impl, the steps are on its method. The method may omit its `cx: &Context`, and the impl its `type Error`.
///
/// ```
/// use brighter::prelude::*;
/// # #[derive(Command)] struct Greet { name: String }
///
/// struct GreetHandler;
///
/// #[handler]
/// impl Handler<Greet> for GreetHandler {
///     #[request_logging(step = 1)]
///     #[use_policy(retry, step = 2)]
///     async fn handle(&self, greet: &Greet) -> Result<(), std::io::Error> {
///         println!("Hello, {}", greet.name);
///         Ok(())
///     }
/// }
/// ```
///
/// On a type, the attribute takes the request, and the steps are below it. The impl is then a plain one, or a short one
/// with `#[handler(on_struct)]`.
///
/// ```
/// # use brighter::prelude::*;
/// # #[derive(Command)] struct Greet { name: String }
/// #[handler(Greet)]
/// #[request_logging(step = 1)]
/// #[use_policy(retry, step = 2)]
/// struct GreetHandler;
///
/// impl Handler<Greet> for GreetHandler {
///     type Error = std::io::Error;
///
///     async fn handle(&self, greet: &Greet, _: &Context) -> Result<(), std::io::Error> {
///         println!("Hello, {}", greet.name);
///         Ok(())
///     }
/// }
/// ```
///
/// Every step has a number: `step = 1` is the outermost. A step acts before the handler, and sees the outcome after it.
/// A step with `timing = after` acts only after a success. Such steps are inside all others, and the highest acts
/// first.
///
/// With `#[handler(batch(max = 100, within = "50ms"))]` one call handles up to a hundred messages, and begins when there are
/// so many, or when the first has waited for 50 ms. The method takes a `Batch`, in which each message has an outcome of its
/// own. Every step is around one message, but for `#[timeout]`, which limits a call and is innermost. The request has no
/// reply.
///
/// ```
/// # use brighter::prelude::*;
/// # #[derive(Command)] struct Greet { name: String }
/// # struct GreetHandler;
/// #[handler(batch(max = 100, within = "50ms"))]
/// impl Handler<Greet> for GreetHandler {
///     #[use_policy(retry, step = 1)]
///     #[timeout("5s", step = 2)]
///     async fn handle(&self, batch: Batch<'_, Greet>) -> Result<(), std::io::Error> {
///         for (index, greet) in batch.iter().enumerate() {
///             if greet.name.is_empty() {
///                 batch.reject(index, "nobody to greet");
///             }
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// `#[handler(crate = path)]` sets [the path of the library](crate#where-the-library-is), also for the steps. A step
/// may be in a `cfg_attr`, and of several methods `handle` with `cfg` one must remain.
#[proc_macro_attribute]
pub fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[handler]", |errors| {
        handler::handler(args.into(), item.into(), errors)
    })
}

/// A step of a [`macro@handler`]: logs each request, its duration and its outcome. The fields of the request are logged
/// only with `fields = debug`, by its `Debug`, which must hide secrets.
///
/// ```
/// # use brighter::prelude::*;
/// # #[derive(Debug, Command)] struct Greet;
/// # struct GreetHandler;
/// # #[handler]
/// # impl Handler<Greet> for GreetHandler {
/// #[request_logging(step = 1, fields = debug)]
/// #[request_logging(step = 2, timing = after)]     // on success only
/// async fn handle(&self, greet: &Greet) -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// # }
/// ```
#[proc_macro_attribute]
pub fn request_logging(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[request_logging]", |errors| {
        alone::alone("request_logging", item.into(), errors)
    })
}

/// A step of a [`macro@handler`]: fails after a timeout, a number with `ms`, `s`, `m` or `h`.
///
/// Inside a retry it limits each attempt; outside of a retry it limits all attempts together.
///
/// ```
/// # use brighter::{prelude::*, timeout};
/// # #[derive(Command)] struct Greet;
/// # struct GreetHandler;
/// # #[handler]
/// # impl Handler<Greet> for GreetHandler {
/// #[timeout("30s", step = 1)]
/// #[use_policy(retry, step = 2)]
/// #[timeout("5s", step = 3)]
/// async fn handle(&self, greet: &Greet) -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// # }
/// ```
#[proc_macro_attribute]
pub fn timeout(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[timeout]", |errors| {
        alone::alone("timeout", item.into(), errors)
    })
}

/// A step of a [`macro@handler`]: applies a policy to the steps inside it and the handler.
///
/// A bare name, or a text, refers to a policy of the processor, which all handlers that name it share. A path or any
/// other expression makes a policy for this handler alone. In a list, the policy on the left is outside of the one on
/// the right.
///
/// ```
/// # use brighter::prelude::*;
/// # #[derive(Command)] struct Greet;
/// # struct GreetHandler;
/// # #[handler]
/// # impl Handler<Greet> for GreetHandler {
/// #[use_policy([retry, circuit_breaker], step = 1)]
/// #[use_policy(Policy::timeout(std::time::Duration::from_secs(5)), step = 2)]
/// async fn handle(&self, greet: &Greet) -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// # }
/// ```
#[proc_macro_attribute]
pub fn use_policy(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[use_policy]", |errors| {
        alone::alone("use_policy", item.into(), errors)
    })
}

/// A step of a [`macro@handler`], a backstop: after any error from inside, the message goes to the dead-letter channel
/// at once, with the error as the reason.
///
/// The actions of the handler itself (`Defer`, `Reject`, `Invalid`, `DontAck`) pass through, and so does a shutdown.
/// The step must be outside of every policy and fallback, or it does not compile: they would never see an error. A
/// panic is not an error, and passes through too.
///
/// ```
/// # use brighter::prelude::*;
/// # #[derive(Command)] struct Greet;
/// # struct GreetHandler;
/// # #[handler]
/// # impl Handler<Greet> for GreetHandler {
/// #[reject_on_error(step = 1)]
/// #[use_policy(retry, step = 2)]
/// async fn handle(&self, greet: &Greet) -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// # }
/// ```
#[proc_macro_attribute]
pub fn reject_on_error(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[reject_on_error]", |errors| {
        alone::alone("reject_on_error", item.into(), errors)
    })
}

/// A step of a [`macro@handler`], a backstop: after any error from inside, the message is delivered again after this
/// delay, or after the subscription's own. It counts as an attempt.
///
/// All else is as for [`macro@reject_on_error`].
///
/// ```
/// # use brighter::prelude::*;
/// # #[derive(Command)] struct Greet;
/// # struct GreetHandler;
/// # #[handler]
/// # impl Handler<Greet> for GreetHandler {
/// #[defer_on_error("30s", step = 1)]
/// #[use_policy(retry, step = 2)]
/// async fn handle(&self, greet: &Greet) -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// # }
/// ```
#[proc_macro_attribute]
pub fn defer_on_error(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[defer_on_error]", |errors| {
        alone::alone("defer_on_error", item.into(), errors)
    })
}

/// A step of a [`macro@handler`], a backstop: after any error from inside, the message returns unchanged to the broker.
/// It does not count as an attempt, so a message that always fails is delivered forever.
///
/// All else is as for [`macro@reject_on_error`].
///
/// ```
/// # use brighter::prelude::*;
/// # #[derive(Command)] struct Greet;
/// # struct GreetHandler;
/// # #[handler]
/// # impl Handler<Greet> for GreetHandler {
/// #[dont_ack_on_error(step = 1)]
/// async fn handle(&self, greet: &Greet) -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// # }
/// ```
#[proc_macro_attribute]
pub fn dont_ack_on_error(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[dont_ack_on_error]", |errors| {
        alone::alone("dont_ack_on_error", item.into(), errors)
    })
}

#[doc = include_str!("step/validate.md")]
#[proc_macro_attribute]
pub fn validate(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[validate]", |errors| {
        alone::alone("validate", item.into(), errors)
    })
}

#[doc = include_str!("step/fallback.md")]
#[proc_macro_attribute]
pub fn fallback(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[fallback]", |errors| {
        alone::alone("fallback", item.into(), errors)
    })
}

#[doc = include_str!("step/feature_switch.md")]
#[proc_macro_attribute]
pub fn feature_switch(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[feature_switch]", |errors| {
        alone::alone("feature_switch", item.into(), errors)
    })
}

#[doc = include_str!("step/monitor.md")]
#[proc_macro_attribute]
pub fn monitor(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[monitor]", |errors| {
        alone::alone("monitor", item.into(), errors)
    })
}

#[doc = include_str!("step/layer.md")]
#[proc_macro_attribute]
pub fn layer(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[layer]", |errors| alone::alone("layer", item.into(), errors))
}

#[doc = include_str!("step/use_inbox.md")]
#[proc_macro_attribute]
pub fn use_inbox(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[use_inbox]", |errors| {
        alone::alone("use_inbox", item.into(), errors)
    })
}

#[doc = include_str!("step/transactional.md")]
#[proc_macro_attribute]
pub fn transactional(_: TokenStream, item: TokenStream) -> TokenStream {
    shell::run("#[transactional]", |errors| {
        alone::alone("transactional", item.into(), errors)
    })
}

/// Makes a cron expression of a text, and checks it when the program is compiled: five fields, or a name such as
/// `@daily`. An expression that is wrong, that never comes, or that would come more than once a minute does not compile.
///
/// ```
/// use brighter::schedule::cron;
///
/// let weekdays = cron!("30 2 * * MON-FRI");
/// assert_eq!(weekdays.as_str(), "30 2 * * MON-FRI");
/// ```
///
/// As a constant it has its words in its documentation:
///
/// ```
/// # use brighter::schedule::cron;
/// cron!(pub const NIGHTLY = "30 2 * * *");
///
/// assert_eq!(NIGHTLY.words(), "At 02:30.");
/// ```
///
/// `cron!("@daily", crate = queue)` sets [the path of the library](crate#where-the-library-is).
///
/// 31 February never comes:
///
/// ```compile_fail
/// # use brighter::schedule::cron;
/// let never = cron!("0 0 31 2 *");
/// ```
#[cfg(feature = "schedule")]
#[proc_macro]
pub fn cron(input: TokenStream) -> TokenStream {
    shell::run("cron!", |_| cron::expand(input.into()))
}
