//! The metrics, for Prometheus, with the feature `metrics`.

#[cfg_attr(feature = "metrics", path = "on.rs")]
#[cfg_attr(not(feature = "metrics"), path = "off.rs")]
mod recorder;

pub(crate) use recorder::begin;
