//! Conversions between a [`TraceContext`] and the context of OpenTelemetry: W3C Trace Context and W3C Baggage.

use std::fmt::Write;
use std::str::FromStr;

use opentelemetry::baggage::{Baggage, BaggageExt, KeyValueMetadata};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceState};
use opentelemetry::{Context, SpanId, TraceFlags, TraceId};

use super::TraceContext;

/// Returns the context in which a message was made; `None` if the message has none.
pub(super) fn read(trace: &TraceContext) -> Option<Context> {
    let span = trace.traceparent().and_then(|parent| {
        let state = trace.tracestate().unwrap_or_default();
        let flags = u8::from_str_radix(parent.get(53..55)?, 16).ok()?;
        Some(SpanContext::new(
            TraceId::from_hex(parent.get(3..35)?).ok()?,
            SpanId::from_hex(parent.get(36..52)?).ok()?,
            TraceFlags::new(flags) & TraceFlags::SAMPLED,
            true,
            TraceState::from_str(state).unwrap_or_default(),
        ))
    });
    let baggage = trace.baggage().map(read_baggage);
    if span.is_none() && baggage.is_none() {
        return None;
    }
    let mut context = Context::new();
    if let Some(span) = span {
        context = context.with_remote_span_context(span);
    }
    if let Some(baggage) = baggage {
        context = context.with_baggage(baggage);
    }
    Some(context)
}

/// Returns the trace of a message that is made in the context; `None` if the context belongs to no trace.
pub(super) fn write(context: &Context) -> Option<TraceContext> {
    let span = context.span();
    let span = span.span_context();
    let baggage = context.baggage();
    let mut trace = TraceContext::default();
    if span.is_valid() {
        let (id, parent, sampled) = (span.trace_id(), span.span_id(), u8::from(span.is_sampled()));
        let state = span.trace_state().header();
        trace = trace.with_traceparent(&format!("00-{id}-{parent}-{sampled:02x}"));
        if !state.is_empty() {
            trace = trace.with_tracestate(&state);
        }
    }
    if !baggage.is_empty() {
        trace = trace.with_baggage(&write_baggage(baggage));
    }
    (!trace.is_empty()).then_some(trace)
}

fn read_baggage(text: &str) -> Vec<KeyValueMetadata> {
    let member = |member: &str| {
        let (key, value) = member.split_once('=')?;
        let (value, properties) = value.split_once(';').unwrap_or((value, ""));
        Some(KeyValueMetadata::new(
            key.to_owned(),
            decoded(value.trim()),
            properties.trim(),
        ))
    };
    text.split(',').filter_map(member).collect()
}

/// Writes the baggage sorted by key, so that the same baggage is the same text.
fn write_baggage(baggage: &Baggage) -> String {
    let mut members: Vec<_> = baggage.iter().collect();
    members.sort_unstable_by_key(|(key, _)| *key);
    let mut text = String::new();
    for (key, (value, properties)) in members {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(key.as_str());
        text.push('=');
        encode(value.as_str(), &mut text);
        if !properties.as_str().is_empty() {
            text.push(';');
            text.push_str(properties.as_str());
        }
    }
    text
}

/// Keeps the unreserved characters of RFC 3986, as every implementation does, and percent-encodes the rest.
fn encode(value: &str, text: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

/// Decodes a text; a wrong encoding stays as it is.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind
            .get(..2)
            .filter(|digits| first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    #[test]
    fn a_trace_is_written_as_it_was_read() {
        let trace = TraceContext::default()
            .with_traceparent(UNSAMPLED)
            .with_tracestate("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
            .with_baggage("note=a%20b%2Cc;p,tenant=north");
        let context = read(&trace).unwrap();
        assert!(!context.span().span_context().is_sampled());
        assert!(context.span().span_context().is_remote());
        assert_eq!(context.baggage().get("note").unwrap().as_str(), "a b,c");
        assert_eq!(write(&context).unwrap(), trace);
    }

    #[test]
    fn a_trace_of_a_later_version_continues_as_this_one() {
        let later = format!("01{}-more", &UNSAMPLED[2..]).replace("-00-more", "-03-more");
        let context = read(&TraceContext::default().with_traceparent(&later)).unwrap();
        let written = write(&context).unwrap();
        let sampled = UNSAMPLED.replace("b7-00", "b7-01");
        assert_eq!(written.traceparent(), Some(&*sampled));
    }

    #[test]
    fn baggage_alone_is_no_trace_and_is_carried_on() {
        let trace = TraceContext::default().with_baggage("tenant=north");
        let context = read(&trace).unwrap();
        assert!(!context.span().span_context().is_valid());
        assert_eq!(write(&context).unwrap(), trace);
        assert!(read(&TraceContext::default()).is_none());
        assert!(write(&Context::new()).is_none());
    }

    #[test]
    fn wrong_percent_encoding_stays_unchanged() {
        for (text, value) in [
            ("%2", "%2"),
            ("%zz", "%zz"),
            ("%ff", "%ff"),
            ("%41%42", "AB"),
            ("%+1", "%+1"),
        ] {
            assert_eq!(decoded(text), value);
        }
    }
}
