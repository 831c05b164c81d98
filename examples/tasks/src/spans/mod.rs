//! [`Spans`]: what becomes of the spans: they are sent by OTLP, written to a file as OTLP, or neither.

#[cfg(feature = "otlp")]
mod file;
#[cfg_attr(feature = "otlp", path = "on.rs")]
#[cfg_attr(not(feature = "otlp"), path = "off.rs")]
mod take;

pub(crate) use take::Spans;
