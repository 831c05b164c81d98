//! What happened, for a person to read.

use std::fmt;

use super::journal::{JournalEntry, What};

/// The events, one line each, in their order.
pub(super) struct Timeline<'a>(pub(super) &'a [JournalEntry]);

impl fmt::Display for Timeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("  nothing happened\n");
        }
        self.0.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

impl fmt::Display for JournalEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:>9.3} s  ", self.at.as_secs_f64())?;
        if let Some(message) = &self.message {
            write!(f, "{} {}  ", message.header.topic, message.header.id)?;
        }
        self.what.fmt(f)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Posted { channel } => write!(f, "arrived in `{channel}`"),
            Self::NotPublished { error } => write!(f, "was not published: {error}"),
            Self::Delivered { channel, attempt } => {
                write!(f, "delivered from `{channel}`, attempt {attempt}")
            }
            Self::Handled { handler, request } => {
                write!(f, "{} handled {}", short(handler), short(request))
            }
            Self::Failed {
                handler,
                request,
                error,
            } => write!(f, "{} failed with {}: {error}", short(handler), short(request)),
            Self::Acked { channel } => write!(f, "acked in `{channel}`"),
            Self::Returned { channel } => write!(f, "given back to `{channel}`"),
            Self::Deferred { channel, delay } => write!(f, "comes again to `{channel}` after {delay:?}"),
            Self::SetAside { channel, reason, .. } => write!(f, "set aside in `{channel}`: {reason}"),
            Self::Note { text } => f.write_str(text),
        }
    }
}

/// A type without its modules.
pub(super) fn short(name: &str) -> &str {
    let base = name.find('<').unwrap_or(name.len());
    name[..base].rfind("::").map_or(name, |at| &name[at + 2..])
}
