//! What happens where: a [`Rule`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What happens at a fault point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Whoever passes panics.
    Panic,
    /// The process aborts: no destructor runs.
    Abort,
    /// The process kills itself, as `kill -9` does.
    Kill,
    /// The step fails. Nothing happens where a step cannot.
    Error,
    /// Whoever passes takes this long.
    Sleep(Duration),
    /// Whoever passes waits until it is [told to go on](super::Plan::go_on), or is killed.
    Stop,
    /// Whoever passes waits for ever, and so does everyone who passes any point of the plan from then on, until
    /// who waits for [`died`](super::Plan::died) has the runtime dropped: a death of one process among several
    /// that live in the same.
    Die,
    /// A connection is [cut](super::Plan::on_cut), and whoever passes goes on.
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

/// What happens at one passing of a fault point. Written `relay.publish#2=error`; the first passing needs no number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    pub(super) point: String,
    pub(super) passing: usize,
    pub(super) action: Action,
}

impl Rule {
    /// This happens at passing number `passing`, counted from 1, of the fault point of this name.
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

/// A text that is no rule.
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
