//! The task that owns the publishing channel, so that messages leave in order, and their confirms come back as
//! they may.
//!
//! It hands to lapin all that wait before it looks at what came back, so that the frames of a burst share a
//! write.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Confirmation, ErrorKind};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::connection::{Link, Open};
use super::error::{of_channel, of_publishing};
use super::options::Settings;
use super::publisher::{Job, OPENING, Outgoing, Verdict, exchange_error, fits};
use super::queue::Queue;
use super::returns::{Returns, Route};
use super::topology::declare_exchange;
use super::{ConnectError, wire};
use crate::channel::PublishError;

/// How many messages may be on their way unconfirmed. Enough to hide the way to a broker and its disk, and
/// few enough that a broker which stops answering holds no more than these.
const WINDOW: usize = 256;
/// What a frame has around its payload.
const FRAME: usize = 8;

/// What became of one message: confirmed or not, and which message the broker gave back by the way.
pub(super) struct Done {
    route: Route,
    /// Of the channel that it went through.
    number: u64,
    alone: bool,
    taken: lapin::Result<bool>,
    returned: Option<Route>,
    reply: oneshot::Sender<Verdict>,
}

type Publish<F> = fn(Arc<lapin::Channel>, u64, Job) -> F;

/// Generic over the future of [`publish`], which has no name, so that it needs no box.
pub(super) struct Desk<F> {
    jobs: Arc<Queue<Job>>,
    link: Arc<Link>,
    settings: Arc<Settings>,
    publish: Publish<F>,
    channel: Option<Publishing>,
    /// How many channels there were.
    opened: u64,
    /// The number of the last that was closed over one of several messages.
    suspected: u64,
    /// Taken from the queue, and not begun: the first of them goes alone.
    held: VecDeque<Job>,
    on_their_way: FuturesUnordered<F>,
    /// What is on its way is alone.
    alone: bool,
    returns: Returns,
}

/// The channel that messages go through.
struct Publishing {
    amqp: Arc<lapin::Channel>,
    number: u64,
    /// How many bytes all headers of a message may have: they share a frame.
    most_header_bytes: usize,
}

impl Desk<()> {
    pub(super) fn new(
        jobs: Arc<Queue<Job>>,
        link: Arc<Link>,
        settings: Arc<Settings>,
    ) -> Desk<impl Future<Output = Done> + Send> {
        Desk {
            jobs,
            link,
            settings,
            publish: publish as Publish<_>,
            channel: None,
            opened: 0,
            suspected: 0,
            held: VecDeque::new(),
            on_their_way: FuturesUnordered::new(),
            alone: false,
            returns: Returns::default(),
        }
    }
}

impl<F: Future<Output = Done> + Send> Desk<F> {
    pub(super) async fn run(mut self, close: CancellationToken) {
        let jobs = Arc::clone(&self.jobs);
        let (mut open, mut closed) = (true, false);
        while open || !self.on_their_way.is_empty() || !self.held.is_empty() {
            let blocked = self.link.blocked();
            // What waits stays in the queue meanwhile, where its sender sees that nobody took it.
            if blocked.is_none() {
                self.begin_waiting().await;
            }
            let wanted = open && blocked.is_none() && self.held.is_empty() && self.room() > 0;
            tokio::select! {
                Some(done) = self.on_their_way.next() => self.conclude(done),
                more = jobs.ready(), if wanted => open = more,
                () = unblocked(blocked.as_deref()), if blocked.is_some() => {}
                // Those that wait already still go out.
                () = close.cancelled(), if !closed => {
                    closed = true;
                    jobs.close();
                }
            }
        }
    }

    fn room(&self) -> usize {
        if self.alone {
            return 0;
        }
        WINDOW.saturating_sub(self.on_their_way.len())
    }

    /// Begins what there is room for.
    async fn begin_waiting(&mut self) {
        if self.held.is_empty() {
            self.jobs.take(self.room(), &mut self.held);
        }
        while let Some(job) = self.held.front() {
            if self.alone || (job.alone && !self.on_their_way.is_empty()) {
                break;
            }
            if let Some(job) = self.held.pop_front() {
                self.begin(job).await;
            }
        }
        // Each is polled in the order in which it came, and does not wait before it is handed to lapin.
        if let Some(Some(done)) = self.on_their_way.next().now_or_never() {
            self.conclude(done);
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
                tell(job, Err(error.clone().into()));
                // What waits behind it would meet the same, one after the other.
                self.jobs.take(usize::MAX, &mut self.held);
                for job in self.held.drain(..) {
                    tell(job, Err(error.clone().into()));
                }
                return;
            }
        };
        let headers = wire::header_bytes(&job.message.properties);
        if let Err(error) = fits(headers, channel.most_header_bytes) {
            tell(job, Err(error));
            return;
        }
        let (amqp, number, alone) = (Arc::clone(&channel.amqp), channel.number, job.alone);
        self.alone = alone;
        self.on_their_way.push((self.publish)(amqp, number, job));
    }

    /// The publishing channel: open, with confirms, and with its exchange declared.
    async fn channel(&mut self) -> Result<&Publishing, ConnectError> {
        let live = |channel: &Publishing| channel.amqp.status().connected();
        if !self.channel.as_ref().is_some_and(live) {
            let opened = self.open().await?;
            self.opened = opened.number;
            // What came back on the one before is told already, or never will be.
            self.returns.clear();
            return Ok(self.channel.insert(opened));
        }
        self.channel.as_ref().ok_or(ConnectError::Closed)
    }

    async fn open(&self) -> Result<Publishing, ConnectError> {
        let open = self.link.current().await?;
        let opening = async {
            let channel = open.connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            declare_exchange(&channel, &self.settings).await?;
            Ok(channel)
        };
        let address = &self.settings.address;
        let opened = timeout(OPENING, opening).await;
        let amqp = opened
            .map_err(|_| ConnectError::silent(address, OPENING))?
            .map_err(|error| exchange_error(error, &self.settings))?;
        Ok(Publishing {
            amqp: Arc::new(amqp),
            number: self.opened + 1,
            most_header_bytes: match open.connection.configuration().frame_max() {
                0 => usize::MAX,
                bytes => (bytes as usize).saturating_sub(FRAME),
            },
        })
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
            let only = decided.len() == 1 && siblings.is_empty() && self.on_their_way.is_empty();
            for done in decided {
                self.tell(done, only);
            }
            decided = siblings;
        }
        if self.on_their_way.is_empty() {
            self.alone = false;
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
            let _ = channel.amqp.wait_for_confirms().now_or_never();
        }
    }

    fn tell(&mut self, done: Done, only: bool) {
        let came_back = self.returns.take(&done.route);
        let verdict = match done.taken {
            _ if came_back => Verdict::Known(Err(PublishError::Unroutable {
                topic: done.route.routing_key().into(),
            })),
            Ok(true) => Verdict::Known(Ok(())),
            Ok(false) => Verdict::Known(Err(PublishError::Refused {
                reason: format!(
                    "a queue for `{}` would not take it; it may be full",
                    done.route.routing_key()
                ),
            })),
            Err(error) if closes_channel(&error) => {
                // Nothing more may be put on it, and the broker's words belong to what was.
                self.channel.take_if(|channel| channel.number == done.number);
                if done.alone || (only && self.suspected != done.number) {
                    Verdict::Known(Err(of_publishing(error)))
                } else {
                    self.suspected = done.number;
                    Verdict::Suspect
                }
            }
            Err(error) => Verdict::Known(Err(of_publishing(error))),
        };
        // Whoever wanted it may have given up.
        let _ = done.reply.send(verdict);
    }
}

fn tell(job: Job, outcome: Result<(), PublishError>) {
    // Whoever wanted it may have given up.
    let _ = job.reply.send(Verdict::Known(outcome));
}

async fn unblocked(open: Option<&Open>) {
    if let Some(open) = open {
        open.unblocked().await;
    }
}

/// Whether the error is of the channel, and the connection lives on.
fn closes_channel(error: &lapin::Error) -> bool {
    match error.kind() {
        // It was closed before the message was sent.
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidChannel(_) => true,
        _ => of_channel(error).is_some(),
    }
}

async fn publish(channel: Arc<lapin::Channel>, number: u64, job: Job) -> Done {
    let Job {
        message,
        alone,
        reply,
    } = job;
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
        number,
        alone,
        taken,
        returned,
        reply,
    }
}
