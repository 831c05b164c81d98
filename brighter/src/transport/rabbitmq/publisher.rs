//! Publishing: one task that owns the publishing channel, so that messages leave in order, and their
//! confirms come back as they may.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, poll};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Confirmation};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::connection::Link;
use super::error::{of_publishing, said};
use super::options::Settings;
use super::queue::Queue;
use super::returns::{Returns, Route};
use super::topology::{DeclareError, declare_exchange};
use super::{ConnectError, wire};
use crate::channel::PublishError;

/// How many messages may be on their way unconfirmed. Enough to hide the way to a broker and its disk, and
/// few enough that a broker which stops answering holds no more than these.
const WINDOW: usize = 256;
/// Opening a channel and declaring the exchange take this long at most.
const OPENING: Duration = Duration::from_secs(10);

/// A message as it goes to the broker.
pub(super) struct Outgoing {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

type Outcome = Result<(), PublishError>;

struct Job {
    message: Outgoing,
    reply: oneshot::Sender<Outcome>,
}

/// Publishes messages, confirmed. Ends, once it is dropped or told to close, when all are.
pub(super) struct Publisher {
    jobs: Arc<Queue<Job>>,
    done: CancellationToken,
    deadline: Duration,
}

impl Publisher {
    pub(super) fn start(link: Arc<Link>, settings: Arc<Settings>, close: CancellationToken) -> Self {
        let jobs = Arc::new(Queue::new());
        let done = CancellationToken::new();
        let deadline = settings.confirm_within;
        let desk = Desk {
            jobs: Arc::clone(&jobs),
            link,
            settings,
            channel: None,
            on_their_way: FuturesUnordered::new(),
            returns: Returns::default(),
        };
        let finished = done.clone().drop_guard();
        tokio::spawn(async move {
            desk.run(close).await;
            drop(finished);
        });
        Self { jobs, done, deadline }
    }

    /// Publishes, and returns once the broker has confirmed.
    pub(super) async fn publish(&self, message: Outgoing) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let after = self.deadline;
        // Held until the end: whoever gives up leaves the queue.
        let Some(_place) = self.jobs.enter(Job { message, reply }) else {
            return Err(PublishError::Closed);
        };
        match timeout(after, outcome).await {
            Ok(outcome) => outcome.unwrap_or(Err(PublishError::Closed)),
            Err(_) => Err(PublishError::TimedOut { after }),
        }
    }

    /// Once told to close: waits until nothing is on its way any more.
    pub(super) async fn done(&self) {
        self.done.cancelled().await;
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.jobs.close();
    }
}

/// What became of one message: confirmed or not, and which message the broker gave back by the way.
struct Done {
    route: Route,
    taken: lapin::Result<bool>,
    returned: Option<Route>,
    reply: oneshot::Sender<Outcome>,
}

/// The task that publishes.
struct Desk {
    jobs: Arc<Queue<Job>>,
    link: Arc<Link>,
    settings: Arc<Settings>,
    channel: Option<Arc<lapin::Channel>>,
    on_their_way: FuturesUnordered<BoxFuture<'static, Done>>,
    returns: Returns,
}

impl Desk {
    async fn run(mut self, close: CancellationToken) {
        let jobs = Arc::clone(&self.jobs);
        let (mut open, mut closed) = (true, false);
        while open || !self.on_their_way.is_empty() {
            let room = self.on_their_way.len() < WINDOW;
            tokio::select! {
                Some(done) = self.on_their_way.next() => self.conclude(done),
                job = jobs.first(), if open && room => match job {
                    Some(job) => self.begin(job).await,
                    None => open = false,
                },
                // Those that wait already still go out.
                () = close.cancelled(), if !closed => {
                    closed = true;
                    jobs.close();
                }
            }
        }
    }

    async fn begin(&mut self, job: Job) {
        // Whoever wanted it has given up.
        if job.reply.is_closed() {
            return;
        }
        let channel = match self.channel().await {
            Ok(channel) => channel,
            Err(error) => {
                let _ = job.reply.send(Err(error.clone().into()));
                // What waits behind it would meet the same, one after the other.
                while let Some(job) = self.jobs.first_now() {
                    let _ = job.reply.send(Err(error.clone().into()));
                }
                return;
            }
        };
        let mut publishing = publish(channel, job).boxed();
        // Begun here and now, which is what keeps the order.
        match poll!(&mut publishing) {
            std::task::Poll::Ready(done) => self.conclude(done),
            std::task::Poll::Pending => self.on_their_way.push(publishing),
        }
    }

    /// The publishing channel: open, with confirms, and with its exchange declared.
    async fn channel(&mut self) -> Result<Arc<lapin::Channel>, ConnectError> {
        if let Some(channel) = self
            .channel
            .as_ref()
            .filter(|channel| channel.status().connected())
        {
            return Ok(Arc::clone(channel));
        }
        let open = self.link.current().await?;
        let opening = async {
            let channel = open.connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            declare_exchange(&channel, &self.settings).await?;
            Ok(channel)
        };
        let address = &self.settings.address;
        let opened = timeout(OPENING, opening).await;
        let channel = opened
            .map_err(|_| ConnectError::silent(address, OPENING))?
            .map_err(|error| exchange_error(error, &self.settings))?;
        self.returns.clear();
        Ok(Arc::clone(self.channel.insert(Arc::new(channel))))
    }

    /// Tells everyone whose message the broker has decided on.
    ///
    /// A returned message may hang on the confirm of another that came in the same frame, so all of a frame
    /// are looked at before the first is told.
    fn conclude(&mut self, first: Done) {
        let mut decided = vec![first];
        while !decided.is_empty() {
            self.collect(&mut decided);
            self.wait_for_the_frame();
            let mut siblings = Vec::new();
            self.collect(&mut siblings);
            for done in decided.iter_mut().chain(&mut siblings) {
                if let Some(route) = done.returned.take() {
                    self.returns.note(route);
                }
            }
            for done in decided {
                self.tell(done);
            }
            decided = siblings;
        }
    }

    fn collect(&mut self, into: &mut Vec<Done>) {
        while let Some(Some(done)) = self.on_their_way.next().now_or_never() {
            into.push(done);
        }
    }

    /// Waits until lapin has completed every confirm of the frame that it is at. It holds a lock meanwhile,
    /// which this call wants first of all; what it would wait for afterwards is nothing to us.
    fn wait_for_the_frame(&self) {
        if let Some(channel) = &self.channel {
            let _ = channel.wait_for_confirms().now_or_never();
        }
    }

    fn tell(&mut self, done: Done) {
        let came_back = self.returns.take(&done.route);
        let outcome = match done.taken {
            _ if came_back => Err(PublishError::Unroutable {
                topic: done.route.routing_key().into(),
            }),
            Ok(true) => Ok(()),
            Ok(false) => Err(PublishError::Refused {
                reason: format!(
                    "a queue for `{}` would not take it; it may be full",
                    done.route.routing_key()
                ),
            }),
            Err(error) => Err(of_publishing(error)),
        };
        // Whoever wanted it may have given up.
        let _ = done.reply.send(outcome);
    }
}

async fn publish(channel: Arc<lapin::Channel>, job: Job) -> Done {
    let Job { message, reply } = job;
    let Outgoing {
        exchange,
        routing_key,
        properties,
        body,
    } = message;
    let route = Route::of(&exchange, &routing_key, &properties);
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let confirmation = async {
        let sent = channel.basic_publish(exchange, routing_key, options, &body, properties);
        sent.await?.await
    };
    let (taken, returned) = match confirmation.await {
        Ok(Confirmation::Ack(returned)) => (Ok(true), returned),
        // Without confirms nothing is known, and what is not known was not taken. We always ask for them.
        Ok(Confirmation::Nack(returned)) => (Ok(false), returned),
        Ok(Confirmation::NotRequested) => (Ok(false), None),
        Err(error) => (Err(error), None),
    };
    let returned = returned.map(|back| Route::of(&back.exchange, &back.routing_key, &back.properties));
    Done {
        route,
        taken,
        returned,
        reply,
    }
}

/// Declares the exchange on a channel that is thrown away.
pub(super) async fn check_exchange(
    connection: &lapin::Connection,
    settings: &Settings,
) -> Result<(), ConnectError> {
    let declaring = async {
        let channel = connection.create_channel().await?;
        declare_exchange(&channel, settings).await?;
        channel.close(200, "done".into()).await?;
        Ok(())
    };
    timeout(OPENING, declaring)
        .await
        .map_err(|_| ConnectError::silent(&settings.address, OPENING))?
        .map_err(|error| exchange_error(error, settings))
}

fn exchange_error(error: DeclareError, settings: &Settings) -> ConnectError {
    let exchange = settings.exchange.clone();
    match error {
        DeclareError::Name(error) => ConnectError::Exchange {
            exchange,
            reason: error.to_string(),
        },
        DeclareError::Broker(error) if super::error::of_channel(&error).is_some() => ConnectError::Exchange {
            exchange,
            reason: said(&error),
        },
        DeclareError::Broker(error) => ConnectError::of_attempt(error, &settings.address),
    }
}

/// A message for the exchange, checked for what the broker would close the channel or the connection over.
pub(super) fn outgoing(
    message: &crate::message::Message,
    settings: &Settings,
) -> Result<Outgoing, PublishError> {
    message.header.topic.validate()?;
    let properties = wire::properties(message)?;
    let body = message.body.to_bytes();
    fits(body.len(), settings.max_message_bytes)?;
    fits(wire::header_bytes(&properties), MAX_HEADER_BYTES)?;
    Ok(Outgoing {
        exchange: wire::short("exchange name", &settings.exchange)?,
        routing_key: wire::short("routing key", message.header.topic.as_str())?,
        properties,
        body,
    })
}

/// All headers share one frame, which has this many bytes unless the broker was told otherwise.
const MAX_HEADER_BYTES: usize = 128 * 1024;

fn fits(bytes: usize, limit: usize) -> Result<(), PublishError> {
    if bytes > limit {
        return Err(PublishError::TooLarge { bytes, limit });
    }
    Ok(())
}
