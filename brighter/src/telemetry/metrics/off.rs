//! Without the feature `metrics` nothing is counted, and nothing is left of the calls.

use crate::subscription::SubscriptionSettings;
use brighter_core::message::{MessageHeader, RoutingKey};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Began;

impl Began {
    pub(crate) fn now() -> Self {
        Self
    }
}

#[derive(Debug)]
pub(crate) struct SubscriptionMetrics;

/// The outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandlingOutcome {
    Handled,
    Again,
    Returned,
    DeadLettered,
    Invalid,
}

pub(crate) struct Counted;

impl SubscriptionMetrics {
    pub(crate) fn new(_: &SubscriptionSettings) -> Self {
        Self
    }

    pub(crate) fn in_flight(&self, _: &'static str, _: Option<&MessageHeader>) -> Counted {
        Counted
    }

    pub(crate) fn consumes(&self, _: &'static str) -> Counted {
        Counted
    }

    pub(crate) fn decided(&self, _: &'static str, _: Began, _: HandlingOutcome, _: Option<&'static str>) {}
}

#[derive(Debug, Clone)]
pub(crate) struct HandlerMetrics;

impl HandlerMetrics {
    pub(crate) fn new(_: &'static str) -> Self {
        Self
    }

    pub(crate) fn called(&self, _: usize) {}

    pub(crate) fn tried(&self, _: Began, _: Option<&'static str>) {}
}

#[derive(Default)]
pub(crate) struct SentMetrics(());

impl SentMetrics {
    pub(crate) fn sent(&self, _: &'static str, _: &RoutingKey, _: Began, _: Option<&'static str>) {}
}

#[derive(Default)]
pub(crate) struct CircuitMetrics(());

impl CircuitMetrics {
    pub(crate) fn known_as(&self, _: &str, _: u8) {}

    pub(crate) fn is_now(&self, _: u8) {}
}

pub(crate) fn retries(_: &str) {}

pub(crate) fn reply_dropped(_: &'static str, _: &'static str) {}
