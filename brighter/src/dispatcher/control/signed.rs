//! [`Signed`]: a command on its way, and how a forged, stale or replayed one is told.

use std::collections::HashMap;
use std::time::Duration;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::command::ControlCommand;
use super::secret::ControlSecret;
use brighter_core::id::MessageId;
use brighter_core::mapper::{JsonMapper, Postable};
use brighter_core::message::RoutingKey;
use brighter_core::request::{Command, Request, RequestKind};

/// A command, where it goes and when it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// Different for every order, so that none counts twice.
    pub(super) id: MessageId,
    /// For whom; for every node, if it is `None`.
    pub(super) node: Option<String>,
    /// When, in milliseconds since 1970, by the clock of who gave it.
    pub(super) given_at: u64,
    pub(super) command: ControlCommand,
}

/// An order as it travels. What is signed is the very text, so that nobody has to write it the same way twice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Signed {
    order: String,
    /// HMAC-SHA256 in hexadecimal digits.
    signature: String,
}

/// Why an order is not obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("a control command is not signed, or not with the secret of this topic")]
    Forged,
    #[error("a control command makes no sense: {0}")]
    Senseless(String),
    #[error("a control command is {by:?} too old or too new: it was held back, or a clock is wrong")]
    Stale { by: Duration },
    #[error("a control command was given before this node started, or before one that it has forgotten")]
    BeforeStart,
    #[error("a control command came a second time")]
    Replayed,
    #[error("there are too many control commands at once")]
    TooMany,
}

/// The verdict about an order that is signed and in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OrderVerdict {
    /// The order counts, and does not count again from now on.
    Obey(Order),
    /// The order was given after now, by the clock of this node, and counts once this has passed.
    Early(Duration),
}

/// The memory of a node, to tell orders that count from others.
///
/// No order is obeyed twice, whatever the clocks of those who give them say, because of two rules: an order counts only
/// once the clock of the node is past the time at which it was given, and an order that was given before `floor` does not
/// count. A process that starts later has a floor above everything that the one before it obeyed, so nothing has to be
/// kept over a restart. Within a process, the floor rises over what is forgotten.
#[derive(Debug)]
pub(super) struct CommandVerifier {
    topic: RoutingKey,
    secret: ControlSecret,
    window: Duration,
    /// Nothing counts that was given before: at first the start of this process, in milliseconds since 1970.
    floor: u64,
    /// When the orders of the last window were given.
    seen: HashMap<MessageId, u64>,
}

/// Only who has the secret can fill the memory of a verifier, and even then it stays this small.
const MOST_SEEN: usize = 10_000;

/// Nothing else that may ever be signed with the secret begins so.
const PURPOSE: &[u8] = b"brighter control order 1\0";

fn mac(secret: &ControlSecret, topic: &RoutingKey, order: &str) -> Option<Hmac<Sha256>> {
    // A key of any length will do, so this never fails.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).ok()?;
    // Its length parts the topic from the order.
    mac.update(PURPOSE);
    mac.update(
        &u64::try_from(topic.as_str().len())
            .unwrap_or(u64::MAX)
            .to_be_bytes(),
    );
    mac.update(topic.as_str().as_bytes());
    mac.update(order.as_bytes());
    Some(mac)
}

impl Signed {
    pub(super) fn new(order: &Order, topic: &RoutingKey, secret: &ControlSecret) -> serde_json::Result<Self> {
        let order = serde_json::to_string(order)?;
        let mac = mac(secret, topic, &order);
        let bytes = mac.map(|mac| mac.finalize().into_bytes()).unwrap_or_default();
        let signature = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { order, signature })
    }
}

impl CommandVerifier {
    pub(super) fn new(topic: RoutingKey, secret: ControlSecret, window: Duration, now: u64) -> Self {
        Self {
            topic,
            secret,
            window,
            floor: now,
            seen: HashMap::new(),
        }
    }

    /// Judges the order, by the clock of this node.
    pub(super) fn admit(&mut self, signed: &Signed, now: u64) -> Result<OrderVerdict, Refusal> {
        let signature = bytes_of(&signed.signature).ok_or(Refusal::Forged)?;
        let mac = mac(&self.secret, &self.topic, &signed.order).ok_or(Refusal::Forged)?;
        // Takes as long whatever is wrong with it.
        mac.verify_slice(&signature).map_err(|_| Refusal::Forged)?;
        let order: Order =
            serde_json::from_str(&signed.order).map_err(|error| Refusal::Senseless(error.to_string()))?;
        let off = Duration::from_millis(now.abs_diff(order.given_at));
        if let Some(by) = off.checked_sub(self.window)
            && !by.is_zero()
        {
            return Err(Refusal::Stale { by });
        }
        self.forget(now);
        if self.seen.contains_key(&order.id) {
            return Err(Refusal::Replayed);
        }
        if order.given_at < self.floor {
            return Err(Refusal::BeforeStart);
        }
        // A process that starts in this very millisecond would take it for one that was given after its start.
        if order.given_at >= now {
            let early = (order.given_at - now).saturating_add(1);
            return Ok(OrderVerdict::Early(Duration::from_millis(early)));
        }
        if self.seen.len() >= MOST_SEEN {
            return Err(Refusal::TooMany);
        }
        self.seen.insert(order.id.clone(), order.given_at);
        Ok(OrderVerdict::Obey(order))
    }

    /// Forgets what is stale, and lets nothing of that age count again: the clock may be set back.
    fn forget(&mut self, now: u64) {
        let window = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
        let floor = &mut self.floor;
        self.seen.retain(|_, given_at| {
            let is_kept = now.saturating_sub(*given_at) <= window;
            if !is_kept {
                *floor = (*floor).max(given_at.saturating_add(1));
            }
            is_kept
        });
    }
}

fn bytes_of(hexadecimal: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = hexadecimal.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| match *pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    });
    bytes.collect()
}

impl Request for Signed {
    type Reply = ();

    const KIND: RequestKind = RequestKind::Command;
}

impl Command for Signed {}

impl Postable for Signed {
    const TOPIC: &'static str = "brighter.control";

    type Mapper = JsonMapper;
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const WINDOW: Duration = Duration::from_secs(60);

    fn secret(text: &str) -> ControlSecret {
        ControlSecret::new(text.repeat(32)).unwrap()
    }

    fn verifier() -> CommandVerifier {
        CommandVerifier::new("ops".into(), secret("s"), WINDOW, NOW)
    }

    fn order(given_at: u64) -> Order {
        Order {
            id: MessageId::new(),
            node: Some("one".into()),
            given_at,
            command: ControlCommand::StopAll,
        }
    }

    fn signed(order: &Order) -> Signed {
        Signed::new(order, &"ops".into(), &secret("s")).unwrap()
    }

    #[test]
    fn a_signed_order_counts_once() {
        let (mut verifier, order) = (verifier(), order(NOW));
        let obeyed = Ok(OrderVerdict::Obey(order.clone()));
        assert_eq!(verifier.admit(&signed(&order), NOW + 1), obeyed);
        assert_eq!(
            verifier.admit(&signed(&order), NOW + 59_000),
            Err(Refusal::Replayed)
        );
        let much_later = verifier.admit(&signed(&order), NOW + 61_000);
        assert_eq!(
            much_later,
            Err(Refusal::Stale {
                by: Duration::from_secs(1)
            })
        );
    }

    #[test]
    fn a_change_of_anything_is_a_forgery() {
        let original = signed(&order(NOW));
        let other_topic = Signed::new(&order(NOW), &"other".into(), &secret("s")).unwrap();
        let other_secret = Signed::new(&order(NOW), &"ops".into(), &secret("t")).unwrap();
        let changed = |from: &str, to: &str| Signed {
            order: original.order.replace(from, to),
            ..original.clone()
        };
        let with = |signature: &str| Signed {
            signature: signature.to_owned(),
            ..original.clone()
        };
        for forged in [
            other_topic,
            other_secret,
            changed("one", "two"),
            changed("stop_all", "start_all"),
            changed(&NOW.to_string(), &(NOW + 1).to_string()),
            with(""),
            with("no digits"),
            with(&original.signature[..62]),
            with(&format!("{}00", original.signature)),
        ] {
            assert_eq!(verifier().admit(&forged, NOW), Err(Refusal::Forged), "{forged:?}");
        }
        assert!(matches!(
            verifier().admit(&original, NOW + 1),
            Ok(OrderVerdict::Obey(_))
        ));
    }

    #[test]
    fn orders_outside_their_window_do_not_count() {
        let admit = |given_at: u64, now: u64| verifier().admit(&signed(&order(given_at)), now);
        let stale = |seconds| {
            Err(Refusal::Stale {
                by: Duration::from_secs(seconds),
            })
        };
        let early = |millis| Ok(OrderVerdict::Early(Duration::from_millis(millis)));
        assert!(matches!(admit(NOW, NOW + 60_000), Ok(OrderVerdict::Obey(_))));
        assert_eq!(admit(NOW, NOW + 65_000), stale(5));
        assert_eq!(admit(NOW + 65_000, NOW), stale(5));
        assert_eq!(admit(NOW + 60_000, NOW), early(60_001));
        assert_eq!(admit(NOW, NOW), early(1));
        assert_eq!(admit(NOW - 1, NOW), Err(Refusal::BeforeStart));
    }

    /// Orders of senders whose clocks are off, to a node that starts again at any time after it has obeyed: each is given
    /// to every process of the node, again and again.
    #[test]
    fn no_order_is_obeyed_twice_over_restarts_and_clocks() {
        let mut obeyed_at_all = 0;
        for skew in [-59_000_i64, -1_000, -1, 0, 1, 999, 30_000, 59_999] {
            for restart in [0_u64, 1, 2, 10, 1_000, 30_000, 59_000, 60_000, 61_000, 119_000] {
                let order = order(NOW.checked_add_signed(5_000 + skew).unwrap());
                let sent = signed(&order);
                let mut nodes = vec![verifier()];
                let (mut obeyed, mut restart_at) = (0, None);
                for now in (NOW + 5_000..NOW + 190_000).filter(|now| now % 500 < 3) {
                    if restart_at.is_some_and(|at| now >= at) {
                        nodes = vec![CommandVerifier::new("ops".into(), secret("s"), WINDOW, now)];
                        restart_at = None;
                    }
                    for node in &mut nodes {
                        if let Ok(OrderVerdict::Obey(_)) = node.admit(&sent, now) {
                            obeyed += 1;
                            restart_at = Some(now + restart);
                        }
                    }
                }
                assert!(
                    obeyed <= 1,
                    "skew {skew} ms, restart {restart} ms after: {obeyed} times"
                );
                obeyed_at_all += obeyed;
            }
        }
        assert!(obeyed_at_all >= 60, "only {obeyed_at_all} of 80 were obeyed");
    }

    #[test]
    fn a_clock_that_is_set_back_brings_nothing_back() {
        let (mut verifier, order) = (verifier(), order(NOW));
        assert!(matches!(
            verifier.admit(&signed(&order), NOW + 1),
            Ok(OrderVerdict::Obey(_))
        ));
        // Something later makes it forget.
        let later = super::tests::order(NOW + 100_000);
        assert!(matches!(
            verifier.admit(&signed(&later), NOW + 100_001),
            Ok(OrderVerdict::Obey(_))
        ));
        assert_eq!(verifier.seen.len(), 1);
        assert_eq!(
            verifier.admit(&signed(&order), NOW + 2),
            Err(Refusal::BeforeStart)
        );
    }

    #[test]
    fn its_memory_has_an_end() {
        let mut verifier = verifier();
        for _ in 0..MOST_SEEN {
            verifier.seen.insert(MessageId::new(), NOW);
        }
        assert_eq!(
            verifier.admit(&signed(&order(NOW)), NOW + 1),
            Err(Refusal::TooMany)
        );
        let later = NOW + 61_000;
        assert!(verifier.admit(&signed(&order(later)), later + 1).is_ok());
        assert_eq!(verifier.seen.len(), 1);
    }

    #[test]
    fn the_secret_never_prints() {
        let shown = format!("{:?}", verifier());
        assert!(
            shown.contains("ControlSecret(…)") && !shown.contains("ssss"),
            "{shown}"
        );
    }
}
