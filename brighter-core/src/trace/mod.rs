//! [`TraceContext`]: the trace that a request belongs to, as the W3C defines it.

#[cfg(feature = "otel")]
mod otel;
#[cfg_attr(feature = "otel", path = "span/on.rs")]
#[cfg_attr(not(feature = "otel"), path = "span/off.rs")]
mod span;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

#[doc(hidden)]
pub use span::{Op, OpFuture};

/// The longest `tracestate` that is carried on, in bytes.
const LONGEST_STATE: usize = 8192;
/// The most members of a baggage that Brighter for .NET accepts, and its longest key and value.
const MOST_MEMBERS: usize = 32;
const LONGEST_MEMBER_PART: usize = 256;

/// The trace that a request belongs to, in the texts of [W3C Trace Context] and [W3C Baggage]. It travels with every
/// message, so that events in several processes can be joined.
///
/// The texts may come from an untrusted sender, and nothing is decided by them. An invalid text is dropped, and is
/// never an error.
///
/// ```
/// use brighter::trace::TraceContext;
///
/// let trace = TraceContext::default()
///     .with_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
///     .with_baggage("tenant=north");
/// assert_eq!(trace.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
/// assert!(TraceContext::default().with_traceparent("nonsense").is_empty());
/// ```
///
/// [W3C Trace Context]: https://www.w3.org/TR/trace-context/
/// [W3C Baggage]: https://www.w3.org/TR/baggage/
///
/// Cloning shares the texts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Option<TraceTexts>")]
pub struct TraceContext(Option<Arc<TraceTexts>>);

/// The stored form.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct TraceTexts {
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baggage: Option<String>,
}

impl TraceContext {
    /// Sets the trace and the parent span: `00-`, 32 digits of the trace, `-`, 16 digits of the span, `-`, two digits
    /// of flags. Any other text removes the trace.
    #[must_use]
    pub fn with_traceparent(mut self, text: &str) -> Self {
        let text = text.trim();
        if is_traceparent(text) {
            self.texts().traceparent = Some(text.to_owned());
        } else if self.0.is_some() {
            let texts = self.texts();
            (texts.traceparent, texts.tracestate) = (None, None);
        }
        self.or_none()
    }

    /// Sets the entries of the tracing systems on the way: `vendor=value,…`. They belong to the traceparent, and are
    /// dropped without one.
    #[must_use]
    pub fn with_tracestate(mut self, text: &str) -> Self {
        if self.traceparent().is_some() {
            self.texts().tracestate = match text.len() {
                ..=LONGEST_STATE => members(text, usize::MAX, is_state_member),
                _ => None,
            };
        }
        self
    }

    /// Sets the baggage that the application attached: `key=value,…`.
    ///
    /// Only members that every Brighter accepts are kept. Brighter for .NET rejects the whole message if a key has
    /// other characters than letters, digits, and `_-*/`, if a value is empty or contains a `=`, or if there are more
    /// than 32 members.
    #[must_use]
    pub fn with_baggage(mut self, text: &str) -> Self {
        let baggage = members(text, MOST_MEMBERS, is_baggage_member);
        if self.0.is_some() || baggage.is_some() {
            self.texts().baggage = baggage;
        }
        self.or_none()
    }

    /// Sets the baggage to that of another context, if this one has none.
    #[doc(hidden)]
    pub fn with_baggage_of(mut self, other: &Self) -> Self {
        if self.baggage().is_none()
            && let Some(baggage) = other.baggage()
        {
            self.texts().baggage = Some(baggage.to_owned());
        }
        self
    }

    /// Makes a context without texts equal to one that never had any.
    fn or_none(self) -> Self {
        Self(self.0.filter(|texts| **texts != TraceTexts::default()))
    }

    fn texts(&mut self) -> &mut TraceTexts {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// Returns the trace and the span in which the request was made.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.0.as_ref()?.traceparent.as_deref()
    }

    /// Returns the entries of the tracing systems on the way.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.0.as_ref()?.tracestate.as_deref()
    }

    /// Returns the baggage that the application attached.
    #[must_use]
    pub fn baggage(&self) -> Option<&str> {
        self.0.as_ref()?.baggage.as_deref()
    }

    /// Returns the 32 digits that all messages of one trace share.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.traceparent()?.get(3..35)
    }

    /// Returns whether the context has neither a trace nor baggage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.traceparent().is_none() && self.baggage().is_none()
    }
}

/// Checks the texts again: an outbox stores checked texts, but somebody may have changed them.
impl From<Option<TraceTexts>> for TraceContext {
    fn from(texts: Option<TraceTexts>) -> Self {
        let texts = texts.unwrap_or_default();
        let text = Option::unwrap_or_default;
        Self::default()
            .with_traceparent(&text(texts.traceparent))
            .with_tracestate(&text(texts.tracestate))
            .with_baggage(&text(texts.baggage))
    }
}

/// Checks version, trace, span and flags. A later version than the first may append more.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.splitn(5, '-');
    let mut digits = |count: usize| {
        let part = parts.next().unwrap_or_default().as_bytes();
        let right = part.len() == count && part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        right.then(|| part.iter().any(|digit| *digit != b'0'))
    };
    let version = digits(2);
    // All zeros mean that there is no id.
    let right =
        version.is_some() && digits(32) == Some(true) && digits(16) == Some(true) && digits(2).is_some();
    let more = parts.next();
    right
        && !text.starts_with("ff")
        && match more {
            None => true,
            Some(more) => {
                version == Some(true) && text.len() <= LONGEST_STATE && more.bytes().all(is_printable)
            }
        }
}

/// Returns the valid members of a list, without the spaces around them.
fn members(text: &str, most: usize, is_right: fn(&str, &str) -> bool) -> Option<String> {
    let right = |member: &&str| {
        member
            .split_once('=')
            .is_some_and(|(key, value)| is_right(key, value))
    };
    let mut kept = String::new();
    for member in text.split(',').map(str::trim).filter(right).take(most) {
        if !kept.is_empty() {
            kept.push(',');
        }
        kept.push_str(member);
    }
    (!kept.is_empty()).then_some(kept)
}

fn is_state_member(key: &str, value: &str) -> bool {
    !key.is_empty() && key.bytes().chain(value.bytes()).all(is_printable)
}

fn is_baggage_member(key: &str, value: &str) -> bool {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"_-*/".contains(&byte);
    key.starts_with(|c: char| c.is_ascii_alphanumeric())
        && key.bytes().all(is_key)
        && !value.is_empty()
        && value.bytes().all(|byte| is_printable(byte) && byte != b'=')
        && key.len().max(value.len()) <= LONGEST_MEMBER_PART
}

fn is_printable(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

/// Returns a type's own name, without its modules.
pub fn short(name: &'static str) -> &'static str {
    let own = name.find('<').unwrap_or(name.len());
    let module = name[..own].rfind("::").map_or(0, |end| end + 2);
    &name[module..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_as_the_w3c_has_it_or_none() {
        let later = format!("01{}-more", &PARENT[2..]);
        for right in [PARENT, &format!(" {PARENT} "), &later] {
            let trace = TraceContext::default().with_traceparent(right);
            assert_eq!(trace.traceparent(), Some(right.trim()));
            assert_eq!(trace.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        }
        for wrong in [
            "",
            "nonsense",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            &format!("{PARENT}-more"),
            &format!("ff{}", &PARENT[2..]),
            &PARENT.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
            &format!("01{}-a\u{7}", &PARENT[2..]),
        ] {
            let trace = TraceContext::default()
                .with_traceparent(PARENT)
                .with_tracestate("a=b");
            assert!(trace.with_traceparent(wrong).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn lists_keep_what_makes_sense() {
        let trace = TraceContext::default().with_traceparent(PARENT);
        let state = trace.with_tracestate(" rojo=00f0 ,, congo = t61 , \u{7}=x, nonsense,=y");
        assert_eq!(state.tracestate(), Some("rojo=00f0,congo = t61"));
        let trace = TraceContext::default()
            .with_tracestate("rojo=1")
            .with_baggage("tenant=north, user.id=7, a=b=c, empty=, note=a b;p,\u{e9}=1");
        assert_eq!(
            (trace.tracestate(), trace.baggage()),
            (None, Some("tenant=north,note=a b;p"))
        );
        let many: Vec<String> = (0..40).map(|n| format!("k{n}=v")).collect();
        let trace = trace.with_baggage(&many.join(","));
        assert_eq!(trace.baggage().unwrap().split(',').count(), MOST_MEMBERS);
        assert!(!trace.is_empty());
    }

    #[test]
    fn a_type_is_called_by_its_own_name() {
        assert_eq!(short("tasks::handler::Mail"), "Mail");
        assert_eq!(short("a::Audited<b::Mail>"), "Audited<b::Mail>");
        assert_eq!(short("Mail"), "Mail");
    }

    #[test]
    fn stored_names_are_checked_again() {
        let trace = TraceContext::default()
            .with_traceparent(PARENT)
            .with_tracestate("a=b")
            .with_baggage("c=d");
        let json = serde_json::to_string(&trace).unwrap();
        assert_eq!(serde_json::from_str::<TraceContext>(&json).unwrap(), trace);
        let nothing = TraceContext::default();
        let json_of_nothing = serde_json::to_string(&nothing).unwrap();
        assert_eq!(
            serde_json::from_str::<TraceContext>(&json_of_nothing).unwrap(),
            nothing
        );
        assert_eq!(trace.clone().with_traceparent("no").with_baggage(""), nothing);
        let changed = json.replace("00-4bf", "xx-4bf");
        let read: TraceContext = serde_json::from_str(&changed).unwrap();
        assert_eq!(
            (read.traceparent(), read.tracestate(), read.baggage()),
            (None, None, Some("c=d"))
        );
    }
}
