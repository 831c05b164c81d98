//! [`NamedPolicy`]: a policy under the name that a handler gives it.

use std::sync::Arc;

use super::{Policy, Retry};

/// A policy under its name: together, so that each call shares them at the price of one.
#[derive(Debug, Clone)]
pub(super) struct NamedPolicy(Arc<Named>);

#[derive(Debug)]
struct Named {
    name: Arc<str>,
    policy: Policy,
}

impl NamedPolicy {
    pub(super) fn new(name: &str, policy: Policy) -> Self {
        if let Policy::CircuitBreaker(breaker) = &policy {
            breaker.is_used_as(name);
        }
        let name = name.into();
        Self(Arc::new(Named { name, policy }))
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// The retry, if that is what it is.
    pub(super) fn retry(&self) -> Option<&Retry> {
        match &self.0.policy {
            Policy::Retry(retry) => Some(retry),
            _ => None,
        }
    }
}
