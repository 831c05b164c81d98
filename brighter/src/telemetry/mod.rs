//! What is seen of messages from outside: spans, with the feature `otel`, and metrics, with the feature `metrics`.

pub(crate) mod spans;
