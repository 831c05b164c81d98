//! [`PolicyRegistry`]: policies by name.

use std::collections::BTreeMap;

use super::{CircuitBreaker, Policy, Retry};

/// How unlike a known name an unknown one may be and still be taken for a slip of it (Jaro-Winkler, 1 is
/// equal).
const ALIKE: f64 = 0.75;

/// Policies by name. All who name one share it: one circuit breaker state for one name.
///
/// Two exist by default. Insert others, or others in their place.
///
/// | name | is | which |
/// |---|---|---|
/// | `retry` | [`Retry::default`] | makes 4 attempts, waits about 50, 100 and 200 ms, and retries at most 20 % of the calls and 10 a second |
/// | `circuit_breaker` | [`CircuitBreaker::default`] | opens after 10 failures in a row, for 5 seconds, and closes after one probe succeeds |
///
/// ```
/// use brighter::policy::{PolicyRegistry, Retry};
/// use std::time::Duration;
///
/// let policies = PolicyRegistry::default()
///     .insert("retry", Retry::attempts(5))
///     .insert("patient_retry", Retry::attempts(3).fixed(Duration::from_secs(1)));
/// assert!(policies.get("patient_retry").is_some());
/// ```
#[derive(Debug, Clone)]
pub struct PolicyRegistry(BTreeMap<String, Policy>);

impl Default for PolicyRegistry {
    fn default() -> Self {
        Self::empty()
            .insert("retry", Retry::default())
            .insert("circuit_breaker", CircuitBreaker::default())
    }
}

impl PolicyRegistry {
    /// A registry without the two default policies.
    #[must_use]
    pub fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a policy, in place of one of that name.
    #[must_use]
    pub fn insert(mut self, name: impl Into<String>, policy: impl Into<Policy>) -> Self {
        self.0.insert(name.into(), policy.into());
        self
    }

    /// The policy of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Policy> {
        self.0.get(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Policy)> {
        self.0.iter().map(|(name, policy)| (name.as_str(), policy))
    }

    /// The known name most like this one, if any is like it at all.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        self.names()
            .map(|known| (strsim::jaro_winkler(known, name), known))
            .filter(|(alike, _)| *alike >= ALIKE)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, known)| known)
    }
}
