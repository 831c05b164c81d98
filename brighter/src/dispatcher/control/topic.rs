//! [`Control`]: the topic over which dispatchers are controlled.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::command::ControlCommand;
use super::secret::ControlSecret;
use super::signed::{Order, Signed};
use brighter_core::channel::{Producer, PublishError};
use brighter_core::id::MessageId;
use brighter_core::mapper::{JsonMapper, MapError, MessageMapper};
use brighter_core::message::{MessageHeader, MessageType, RoutingKey};

/// The topic over which dispatchers are controlled. Without it, a dispatcher is controlled by its methods only.
///
/// Every node, which is a process with a dispatcher, has a channel of its own, named after the topic and the node. It
/// obeys what comes there and is signed (HMAC-SHA256) with the secret that it shares with those who may command it, was
/// given within the window, after the node started, and did not come before. Anything else it puts in the channel's
/// invalid-message channel, with the reason, says so in its log, and does nothing. After each there is a
/// [`ControlReport`] on [`reports`](Self::reports).
///
/// A command is obeyed at most once, over restarts too and whatever the clock of its sender says: one that was given after
/// now, by the clock of the node, waits until that has passed, and those behind it wait with it. So a node that starts
/// again has a clock past all that the one before it obeyed, and obeys nothing of that age. This needs a clock of the node
/// that is not set back over its restart.
///
/// Commands are obeyed one after the other; one that stops something takes as long as its handlers do, five
/// minutes at most. They are signed, not secret: who reads the broker reads them.
///
/// ```
/// use brighter::dispatcher::{Control, ControlCommand, ControlSecret, Nodes};
/// # use brighter::prelude::*;
/// # #[derive(Debug, Serialize, Deserialize, Message)]
/// # #[message(topic = "Greeting")]
/// # struct Greet { name: String }
/// # struct Greeter;
/// # #[handler]
/// # impl Handler<Greet> for Greeter {
/// #     async fn handle(&self, _: &Greet) -> Result<(), BoxError> { Ok(()) }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// # let broker = InMemoryBroker::new();
/// # let processor = CommandProcessor::builder().handler(Greeter).broker(broker.clone()).build()?;
/// # let secret = "from the environment, as secrets are";
/// let control = Control::topic("ops.control", ControlSecret::new(secret)?);
///
/// // On the node:
/// let dispatcher = Dispatcher::builder(processor)
///     .subscription(Subscription::<Greet>::new("greetings"))
///     .control(control.clone().node("web-1"))
///     .build()?;
/// dispatcher.receive();
/// dispatcher.wait_until_consuming().await;
///
/// // At the desk:
/// control.send(&broker, Nodes::one("web-1"), ControlCommand::Pause("greetings".into())).await?;
/// # Ok(())
/// # }
/// ```
///
/// [`ControlReport`]: super::ControlReport
#[derive(Clone)]
pub struct Control {
    pub(super) topic: RoutingKey,
    pub(super) secret: ControlSecret,
    pub(super) node: String,
    pub(super) window: Duration,
}

/// The nodes that a command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nodes {
    /// Every node that listens to the topic.
    All,
    /// The node of this name.
    One(String),
}

/// Why a command was not sent.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SendControlError {
    /// The command cannot be written.
    #[error("the command cannot be written")]
    Map(#[source] MapError),
    /// The broker did not take it. If it is unroutable, no node has listened to the topic yet.
    #[error("the command was not sent")]
    Publish(#[from] PublishError),
}

brighter_core::__private::readable_debug!(SendControlError);

/// How far clocks may differ, and how long a command may be under way.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);

impl Control {
    /// This topic, for those who have this secret. The node is named after the machine, and commands count for a
    /// minute.
    #[must_use]
    pub fn topic(topic: impl Into<RoutingKey>, secret: ControlSecret) -> Self {
        Self {
            topic: topic.into(),
            secret,
            node: machine(),
            window: DEFAULT_WINDOW,
        }
    }

    /// Names this node. Two processes of one name share a channel, and only one of them gets each command: give
    /// several on one machine names of their own. A name that changes with each start leaves a channel behind each
    /// time.
    #[must_use]
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = name.into();
        self
    }

    /// Sets for how long before and after its time a command is valid, by the clocks of both sides.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// The topic of the reports.
    #[must_use]
    pub fn reports(&self) -> RoutingKey {
        format!("{}.reports", self.topic).into()
    }

    /// Signs a command and sends it through this broker. The reports say under this id what became of it.
    ///
    /// # Errors
    /// It was not sent.
    pub async fn send(
        &self,
        broker: &dyn Producer,
        nodes: Nodes,
        command: ControlCommand,
    ) -> Result<MessageId, SendControlError> {
        let order = Order {
            id: MessageId::new(),
            node: match nodes {
                Nodes::All => None,
                Nodes::One(name) => Some(name),
            },
            given_at: milliseconds(),
            command,
        };
        let signed = Signed::new(&order, &self.topic, &self.secret);
        let signed = signed.map_err(|error| SendControlError::Map(MapError::new(error)))?;
        let header = MessageHeader::new(order.id.clone(), self.topic.clone(), MessageType::Command);
        let message = JsonMapper.to_message(&signed, header);
        broker.publish(&message.map_err(SendControlError::Map)?).await?;
        Ok(order.id)
    }
}

impl Nodes {
    /// The node of this name.
    #[must_use]
    pub fn one(name: impl Into<String>) -> Self {
        Self::One(name.into())
    }
}

/// The name of the machine, as far as it has one.
fn machine() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.or_else(|| std::env::var("HOSTNAME").ok());
    let name = name.or_else(|| std::env::var("COMPUTERNAME").ok());
    let name = name.map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "node".to_owned())
}

/// Since 1970.
pub(super) fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("topic", &self.topic)
            .field("node", &self.node)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
