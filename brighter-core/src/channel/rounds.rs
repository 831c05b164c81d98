//! [`Rounds`]: how often each channel has rejected a message, which reveals a message that circulates.

use std::collections::BTreeMap;

use crate::message::ChannelName;

/// Counts how often each channel has rejected a message. It travels with the message, in its rejection headers.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rounds(BTreeMap<String, u32>);

impl Rounds {
    /// The number of times a channel may reject a message that comes back to it.
    const MOST: u32 = 5;
    /// The number of channels that are remembered, for this is a header. Real chains are shorter.
    const MOST_CHANNELS: usize = 64;

    /// Reads the header of a message. An unreadable value counts as none: a sender who forges it affects only its own
    /// message.
    pub fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    /// Returns whether the message has been in this channel so often that it circulates.
    pub fn is_round(&self, to: &ChannelName) -> bool {
        self.0.get(to.as_str()).is_some_and(|times| *times >= Self::MOST)
            || self.0.len() > Self::MOST_CHANNELS
    }

    /// Adds one rejection by this channel.
    #[must_use]
    pub fn counted(mut self, by: &ChannelName) -> Self {
        let times = self.0.entry(by.as_str().to_owned()).or_default();
        *times = times.saturating_add(1);
        self
    }

    /// Returns the value of the header.
    pub(crate) fn write(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_circles_after_five_rejections_by_its_target() {
        let (a, c, elsewhere) = ("a".into(), "c".into(), "elsewhere".into());
        let mut rounds = Rounds::default();
        for _ in 0..5 {
            assert!(!rounds.is_round(&a) && !rounds.is_round(&c));
            rounds = Rounds::read(&rounds.counted(&a).write());
            assert!(!rounds.is_round(&c));
            rounds = Rounds::read(&rounds.counted(&c).write());
        }
        assert_eq!(rounds.write(), r#"{"a":5,"c":5}"#);
        assert!(rounds.is_round(&a) && rounds.is_round(&c));
        // A person has named another channel.
        assert!(!rounds.is_round(&elsewhere));
    }

    #[test]
    fn nonsense_is_nothing_and_a_long_way_is_a_round() {
        for nonsense in ["", "[", "{\"a\":-1}", "{\"a\":\"b\"}", "7"] {
            assert_eq!(Rounds::read(nonsense), Rounds::default(), "{nonsense}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Rounds::read(&deep), Rounds::default());
        let channels = (0..65).map(|number| ChannelName::from(format!("channel-{number}")));
        let rounds = channels.fold(Rounds::default(), |rounds, channel| rounds.counted(&channel));
        assert!(rounds.is_round(&"elsewhere".into()));
    }
}
