//! [`InFlightPublish`]: a message that lapin has sent, until it is confirmed.

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

/// The channel on which messages are published.
#[derive(Clone)]
pub(super) struct PublishChannel {
    pub(super) amqp: Arc<lapin::Channel>,
    pub(super) number: u64,
    /// The largest size of all headers of a message, in bytes: they share a frame.
    pub(super) most_header_bytes: usize,
    pub(super) shared: Arc<ChannelShared>,
}

/// The state that all messages of a channel share.
pub(super) struct ChannelShared {
    /// Keeps the connection alive while a message is in flight.
    pub(super) open: Arc<OpenConnection>,
    pub(super) confirms: Arc<ConfirmWatch>,
    pub(super) routes: RouteHasher,
}

/// The outcome of one message: whether it was confirmed, and which message the broker returned with the confirm.
pub(super) struct PublishOutcome {
    pub(super) route: MessageRoute,
    /// The number of its channel.
    pub(super) number: u64,
    pub(super) isolated: bool,
    pub(super) taken: lapin::Result<bool>,
    /// The connection was given up, so the message is sent again on the next one.
    pub(super) resend: bool,
    pub(super) returned: Option<MessageRoute>,
    pub(super) reply: oneshot::Sender<ConfirmResult>,
}

/// A message in flight. lapin's state for it takes two kilobytes, so that memory is reused for the next message.
pub(super) struct InFlightPublish(Option<ReusableFuture>);

/// The memory of one message in flight, reused for another.
pub(super) type ReusableFuture = ReusableBoxFuture<'static, PublishOutcome>;

impl InFlightPublish {
    /// Hands the message to lapin at the first poll.
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

    /// Returns a publish that has already completed.
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
            // The publish is complete, and is not polled again.
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
            // Without confirms the outcome is unknown, which counts as not taken. Confirms are always enabled here.
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
