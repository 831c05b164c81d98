//! A message that lapin has, until it is confirmed.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use lapin::Confirmation;
use lapin::options::BasicPublishOptions;
use tokio::sync::oneshot;
use tokio_util::sync::ReusableBoxFuture;

use super::request::{ConfirmResult, Outgoing, PublishRequest};
use super::returned_messages::{MessageRoute, RouteHasher};
use crate::connection::{ConfirmWatch, OpenConnection};

/// The channel that messages go through.
#[derive(Clone)]
pub(super) struct PublishChannel {
    pub(super) amqp: Arc<lapin::Channel>,
    pub(super) number: u64,
    /// How many bytes all headers of a message may have: they share a frame.
    pub(super) most_header_bytes: usize,
    pub(super) shared: Arc<ChannelShared>,
}

/// What all messages of a channel share.
pub(super) struct ChannelShared {
    /// The connection lasts for as long as a message is on its way.
    pub(super) open: Arc<OpenConnection>,
    pub(super) confirms: Arc<ConfirmWatch>,
    pub(super) routes: RouteHasher,
}

/// What became of one message: confirmed or not, and which message the broker gave back by the way.
pub(super) struct PublishOutcome {
    pub(super) route: MessageRoute,
    /// Of the channel that it went through.
    pub(super) number: u64,
    pub(super) isolated: bool,
    pub(super) taken: lapin::Result<bool>,
    /// Its connection was given up, so it goes by the next.
    pub(super) resend: bool,
    pub(super) returned: Option<MessageRoute>,
    pub(super) reply: oneshot::Sender<ConfirmResult>,
}

/// A message on its way. What lapin has to remember of it takes two kilobytes, so that its memory is used again for the
/// next one when this is done.
pub(super) struct InFlightPublish(Option<ReusableFuture>);

/// The memory of one message on its way, used again for another.
pub(super) type ReusableFuture = ReusableBoxFuture<'static, PublishOutcome>;

impl InFlightPublish {
    /// Hands it to lapin when it is polled first.
    pub(super) fn new(
        channel: PublishChannel,
        request: PublishRequest,
        future: Option<ReusableFuture>,
    ) -> Self {
        let publish = publish(channel, request);
        Self(Some(match future {
            Some(mut future) => {
                future.set(publish);
                future
            }
            None => ReusableFuture::new(publish),
        }))
    }

    /// It has been on its way.
    pub(super) fn over(outcome: PublishOutcome) -> Self {
        Self(Some(ReusableFuture::new(ready(outcome))))
    }
}

impl Future for InFlightPublish {
    type Output = (PublishOutcome, Option<ReusableFuture>);

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Some(future) => {
                let outcome = ready!(future.poll(task));
                Poll::Ready((outcome, self.0.take()))
            }
            // It is over, and nobody asks any more.
            None => Poll::Pending,
        }
    }
}

/// Publishes a message, and waits for its confirm. The first poll hands it to lapin.
fn publish(channel: PublishChannel, request: PublishRequest) -> impl Future<Output = PublishOutcome> + Send {
    let PublishChannel {
        amqp, number, shared, ..
    } = channel;
    let PublishRequest {
        message,
        isolated,
        reply,
    } = request;
    let Outgoing {
        exchange,
        routing_key,
        properties,
        body,
    } = message;
    let awaited = shared.confirms.begin();
    let route = shared.routes.of(&exchange, &routing_key, &properties);
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    async move {
        let sent = amqp.basic_publish(exchange, routing_key, options, &body, properties);
        let confirmation = match sent.await {
            Ok(sent) => sent.await,
            Err(error) => Err(error),
        };
        let (taken, returned) = match confirmation {
            Ok(Confirmation::Ack(returned)) => (Ok(true), returned),
            // Without confirms nothing is known, and what is not known was not taken. We always ask for them.
            Ok(Confirmation::Nack(returned)) => (Ok(false), returned),
            Ok(Confirmation::NotRequested) => (Ok(false), None),
            Err(error) => (Err(error), None),
        };
        if taken.is_ok() {
            awaited.answered();
        }
        let returned = returned.map(|back| {
            shared
                .routes
                .of(&back.exchange, &back.routing_key, &back.properties)
        });
        PublishOutcome {
            route,
            number,
            isolated,
            resend: taken.is_err() && shared.open.is_given_up(),
            taken,
            returned,
            reply,
        }
    }
}
