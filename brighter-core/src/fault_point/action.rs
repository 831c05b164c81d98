//! [`Rule`]: what happens at a fault point.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The effect of a fault point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// The caller panics.
    Panic,
    /// The process aborts: no destructor runs.
    Abort,
    /// The process kills itself, as `kill -9` does.
    Kill,
    /// The step fails. A step that cannot fail ignores this.
    Error,
    /// The caller sleeps this long.
    Sleep(Duration),
    /// The caller waits until [`go_on`](super::Plan::go_on) is called, or until it is killed.
    Stop,
    /// The caller waits forever, and so does every later caller at any point of the plan. The test that waits for
    /// [`died`](super::Plan::died) then drops the runtime. This simulates the death of one process among several in the
    /// same one.
    Die,
    /// A connection is [cut](super::Plan::on_cut), and the caller goes on.
    Cut,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic => f.write_str("panic"),
            Self::Abort => f.write_str("abort"),
            Self::Kill => f.write_str("kill"),
            Self::Error => f.write_str("error"),
            Self::Sleep(time) => write!(f, "sleep({}ms)", time.as_millis()),
            Self::Stop => f.write_str("stop"),
            Self::Die => f.write_str("die"),
            Self::Cut => f.write_str("cut"),
        }
    }
}

impl FromStr for Action {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        Ok(match text {
            "panic" => Self::Panic,
            "abort" => Self::Abort,
            "kill" => Self::Kill,
            "error" => Self::Error,
            "stop" => Self::Stop,
            "die" => Self::Die,
            "cut" => Self::Cut,
            _ => {
                let time = text
                    .strip_prefix("sleep(")
                    .and_then(|rest| rest.strip_suffix("ms)"));
                let time = time.and_then(|time| time.parse().ok());
                Self::Sleep(Duration::from_millis(time.ok_or_else(|| NoRule(text.into()))?))
            }
        })
    }
}

/// An action at one passing of a fault point. Its text is `relay.publish#2=error`; the first passing needs no number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    pub(super) point: String,
    pub(super) passing: usize,
    pub(super) action: Action,
}

impl Rule {
    /// Returns a rule for passing number `passing`, counted from 1, of the fault point of this name.
    pub fn new(point: impl Into<String>, passing: usize, action: Action) -> Self {
        Self {
            point: point.into(),
            passing: passing.max(1),
            action,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.point)?;
        if self.passing > 1 {
            write!(f, "#{}", self.passing)?;
        }
        write!(f, "={}", self.action)
    }
}

impl FromStr for Rule {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        let no_rule = || NoRule(text.into());
        let (place, action) = text.split_once('=').ok_or_else(no_rule)?;
        let (point, passing) = match place.split_once('#') {
            Some((point, passing)) => (point, passing.parse().map_err(|_| no_rule())?),
            None => (place, 1),
        };
        if point.trim().is_empty() || passing == 0 {
            return Err(no_rule());
        }
        Ok(Self::new(point.trim(), passing, action.trim().parse()?))
    }
}

/// A text is not a valid rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no rule for a fault point: write `relay.publish#2=die`, with one of panic, abort, kill, error, \
     sleep(100ms), stop, die, cut"
)]
pub struct NoRule(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_as_it_is_written() {
        for text in [
            "relay.publish=die",
            "relay.publish#3=error",
            "a=sleep(20ms)",
            "a=kill",
            "a=abort",
            "a=cut",
            "a=stop",
            "a=panic",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        for text in ["", "a", "=die", "a#0=die", "a#x=die", "a=burn", "a=sleep(1s)"] {
            text.parse::<Rule>().unwrap_err();
        }
    }
}
