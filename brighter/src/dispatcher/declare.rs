//! Declaring what subscriptions need, without consuming.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

use super::Dispatcher;
use brighter_core::channel::{Channel, ChannelError, DeclareMode};
use brighter_core::error::ErrorReport as _;
use brighter_core::message::SubscriptionName;

/// Declaring one channel takes this long at most. Transports have shorter deadlines of their own.
const DECLARE_TIMEOUT: Duration = Duration::from_secs(60);

impl Dispatcher {
    /// Makes everything at the broker that the subscriptions need, and consumes nothing: queues, exchanges, bindings,
    /// and the channels for dead letters and invalid messages. What exists stays as it is.
    ///
    /// Call it in a deployment, before the first message is published: a channel gets the messages that are published
    /// from then on. It makes what is missing also for a subscription whose
    /// [`declare_channel`](crate::Subscription::declare_channel) has its consumers only look, or not even that.
    ///
    /// ```
    /// # use brighter::prelude::*;
    /// # #[derive(Serialize, Deserialize, Message)]
    /// # #[message(topic = "Greeting")]
    /// # struct Greet;
    /// # struct GreetHandler;
    /// # #[handler]
    /// # impl Handler<Greet> for GreetHandler {
    /// #     async fn handle(&self, _: &Greet) -> Result<(), BoxError> { Ok(()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// # let broker = InMemoryBroker::new();
    /// # let processor = CommandProcessor::builder()
    /// #     .handler(GreetHandler).broker(broker.clone()).outbox(InMemoryOutbox::new()).build()?;
    /// let dispatcher = Dispatcher::builder(processor.clone())
    ///     .subscription(Subscription::<Greet>::new("greetings"))
    ///     .build()?;
    /// dispatcher.declare().await?;
    /// processor.post(Greet).await?;
    /// assert_eq!(broker.messages("greetings").len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The channels that could not be declared, each with its reason. The others are.
    pub async fn declare(&self) -> Result<(), DeclareErrors> {
        let mut failed = Vec::new();
        for (subscription, channel) in self.lasting_channels() {
            let declared = timeout(DECLARE_TIMEOUT, self.0.broker.declare(&channel)).await;
            let after = DECLARE_TIMEOUT;
            if let Err(error) = declared.unwrap_or(Err(ChannelError::TimedOut { after })) {
                failed.push((subscription, error));
            }
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(DeclareErrors(failed))
        }
    }

    /// The channels of the subscriptions, but for those of one process alone, which go with their consumer.
    fn lasting_channels(&self) -> Vec<(SubscriptionName, Channel)> {
        let state = self.0.state();
        let settings = state
            .subscriptions
            .values()
            .map(|known| &known.registered.settings);
        let lasting = settings.filter(|settings| settings.channel.idle_timeout.is_none());
        let to_make = lasting.map(|settings| {
            let mut channel = settings.channel.clone();
            channel.declare = DeclareMode::Create;
            (settings.name.clone(), channel)
        });
        to_make.collect()
    }
}

/// The channels that a dispatcher could not declare: see [`Dispatcher::declare`].
pub struct DeclareErrors(Vec<(SubscriptionName, ChannelError)>);

impl DeclareErrors {
    /// Returns each subscription whose channel could not be declared, with the reason.
    pub fn iter(&self) -> impl Iterator<Item = (&SubscriptionName, &ChannelError)> {
        self.0.iter().map(|(subscription, error)| (subscription, error))
    }
}

impl fmt::Display for DeclareErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channels could not be declared")?;
        for (index, (subscription, error)) in self.iter().enumerate() {
            let parted = if index == 0 { ": " } else { "; " };
            write!(f, "{parted}that of `{subscription}`: {}", error.report())?;
        }
        Ok(())
    }
}

impl Error for DeclareErrors {}

brighter_core::__private::readable_debug!(DeclareErrors);
