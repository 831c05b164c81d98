//! The task that owns the publishing channel, so that messages leave in order, and their confirms come back as
//! they may.
//!
//! It hands to lapin all that wait before it looks at what came back, so that the frames of a burst share a
//! write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::ErrorKind;
use lapin::options::ConfirmSelectOptions;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::connection::{Link, Open};
use super::error::{of_channel, of_channel_before, of_connection, of_publishing};
use super::gate::{Bell, Done, Gate, Publishing, Sending, Slot};
use super::options::Settings;
use super::publisher::{Job, OPENING, Verdict, exchange_error, fits};
use super::queue::Queue;
use super::returns::Returns;
use super::topology::{DeclareError, declare_exchange};
use super::{ConnectError, wire};
use brighter_core::channel::PublishError;

/// How many messages may be on their way unconfirmed. Enough to hide the way to a broker and its disk, and
/// few enough that a broker which stops answering holds no more than these.
const WINDOW: usize = 256;
/// With fewer on their way, others may hand over messages beside the desk.
const FEW: usize = 8;
/// What a frame has around its payload.
const FRAME: usize = 8;

pub(super) struct Desk {
    jobs: Arc<Queue<Job, Gate>>,
    link: Arc<Link>,
    settings: Arc<Settings>,
    channel: Option<Publishing>,
    /// How many channels there were.
    opened: u64,
    /// The number of the last that was closed over one of several messages.
    suspected: u64,
    /// Taken from the queue, and not begun: the first of them goes alone.
    held: VecDeque<Job>,
    on_their_way: FuturesUnordered<Sending>,
    /// Where others were on their way.
    free: Vec<Slot>,
    /// What is on its way is alone.
    alone: bool,
    returns: Returns,
    /// Rung by what went through the gate.
    bell: Arc<Bell>,
    waker: Waker,
}

impl Desk {
    pub(super) fn new(jobs: Arc<Queue<Job, Gate>>, link: Arc<Link>, settings: Arc<Settings>) -> Self {
        let bell = Arc::<Bell>::default();
        Self {
            jobs,
            link,
            settings,
            channel: None,
            opened: 0,
            suspected: 0,
            held: VecDeque::new(),
            on_their_way: FuturesUnordered::new(),
            free: Vec::new(),
            alone: false,
            returns: Returns::default(),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        }
    }

    pub(super) async fn run(mut self, close: CancellationToken) {
        let (jobs, bell) = (Arc::clone(&self.jobs), Arc::clone(&self.bell));
        let (mut open, mut closed) = (true, false);
        while open || !self.on_their_way.is_empty() || !self.held.is_empty() {
            let blocked = self.link.blocked();
            // What waits stays in the queue meanwhile, where its sender sees that nobody took it.
            if blocked.is_none() {
                self.begin_waiting().await;
                self.open_gate();
            }
            let wanted = open && blocked.is_none() && self.held.is_empty() && self.room() > 0;
            tokio::select! {
                Some(done) = self.next() => self.conclude(done),
                () = bell.rung() => {}
                more = jobs.ready(), if wanted => open = more,
                () = unblocked(blocked.as_deref()), if blocked.is_some() => {}
                // Those that wait already still go out.
                () = close.cancelled(), if !closed => {
                    closed = true;
                    jobs.close();
                }
            }
            self.close_gate();
        }
    }

    /// Lets others hand messages to lapin themselves, while that is before nobody and little is on its way: a burst
    /// is better handed over by one.
    fn open_gate(&self) {
        let few = FEW.saturating_sub(self.on_their_way.len());
        if few == 0 || self.alone || !self.held.is_empty() {
            return;
        }
        if let Some(channel) = &self.channel {
            let new = Gate::new(channel.clone(), few, self.waker.clone());
            self.jobs.at_the_gate(|gate, nobody_waits| {
                if nobody_waits {
                    *gate = Some(new);
                }
            });
        }
    }

    fn close_gate(&mut self) {
        let closed = self.jobs.at_the_gate(|gate, _| gate.take());
        if let Some(mut gate) = closed {
            self.on_their_way.extend(gate.begun());
        }
    }

    /// Takes over what went through the gate.
    fn take_over(&mut self) {
        let on_their_way = &self.on_their_way;
        self.jobs.at_the_gate(|gate, _| {
            let begun = gate.iter_mut().flat_map(Gate::begun);
            begun.for_each(|sending| on_their_way.push(sending));
        });
    }

    fn room(&self) -> usize {
        if self.alone {
            return 0;
        }
        WINDOW.saturating_sub(self.on_their_way.len())
    }

    /// Begins what there is room for. Afterwards nothing is held unless something is on its way, which wakes the desk.
    async fn begin_waiting(&mut self) {
        if self.held.is_empty() {
            self.jobs.take(self.room(), &mut self.held);
        }
        loop {
            while let Some(job) = self.next_held() {
                self.begin(job).await;
            }
            // Each is polled in the order in which it came, and does not wait before it is handed to lapin.
            if let Some(Some(done)) = self.next().now_or_never() {
                self.conclude(done);
            }
            // A confirm can be here before that look has ended; what is held behind its message goes now.
            if self.held.is_empty() || !self.on_their_way.is_empty() {
                return;
            }
        }
    }

    /// The first that is held, if it may go now.
    fn next_held(&mut self) -> Option<Job> {
        let nobody = self.on_their_way.is_empty();
        self.held
            .pop_front_if(|job| !self.alone && (nobody || !job.alone))
    }

    /// The next that is not on its way any more. Keeps as many slots as messages may be on their way.
    async fn next(&mut self) -> Option<Done> {
        let (done, slot) = self.on_their_way.next().await?;
        if self.free.len() < WINDOW {
            self.free.extend(slot);
        }
        Some(done)
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
        let (channel, alone) = (channel.clone(), job.alone);
        self.alone = alone;
        let slot = self.free.pop();
        self.on_their_way.push(Sending::new(channel, job, slot));
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

    async fn open(&mut self) -> Result<Publishing, ConnectError> {
        let mut open = self.link.current().await?;
        let mut opened = self.open_on(&open).await?;
        // Nothing was sent on it, so nobody need know that the connection went meanwhile.
        if let Err(DeclareError::Broker(error)) = &opened
            && (!open.is_alive() || of_connection(error))
        {
            open = self.link.after(&open).await?;
            opened = self.open_on(&open).await?;
        }
        let amqp = opened.map_err(|error| exchange_error(error, &self.settings))?;
        Ok(Publishing {
            amqp: Arc::new(amqp),
            number: self.opened + 1,
            routes: Arc::default(),
            most_header_bytes: match open.connection.configuration().frame_max() {
                0 => usize::MAX,
                bytes => (bytes as usize).saturating_sub(FRAME),
            },
        })
    }

    /// The outer error is the broker's silence.
    async fn open_on(&self, open: &Open) -> Result<Result<lapin::Channel, DeclareError>, ConnectError> {
        let opening = async {
            let channel = open.connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            declare_exchange(&channel, &self.settings).await?;
            Ok(channel)
        };
        timeout(OPENING, opening)
            .await
            .map_err(|_| ConnectError::silent(&self.settings.address, OPENING))
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
            self.take_over();
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
        while let Some(Some(done)) = self.next().now_or_never() {
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
            _ if came_back => Verdict::CameBack,
            Ok(true) => Verdict::Known(Ok(())),
            Ok(false) => Verdict::Refused,
            Err(error) if closes_channel(&error) => {
                // Nothing more may be put on it, and the broker's words belong to what was.
                self.channel.take_if(|channel| channel.number == done.number);
                let alone = done.alone || (only && self.suspected != done.number);
                if alone && of_channel(&error).is_some() {
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

/// Whether the error says that a channel was closed: the message's own, or one before it, and the connection with that.
fn closes_channel(error: &lapin::Error) -> bool {
    match error.kind() {
        // It was closed before the message was sent.
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidChannel(_) => true,
        _ => of_channel(error).is_some() || of_channel_before(error),
    }
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;
    use tokio::sync::oneshot;

    use super::super::RabbitMq;
    use super::super::connection::Role;
    use super::super::io::Io;
    use super::super::publisher::Outgoing;
    use super::super::returns::Routes;
    use super::*;

    fn alone() -> (Job, oneshot::Receiver<Verdict>) {
        let message = Outgoing {
            exchange: "e".into(),
            routing_key: "k".into(),
            properties: BasicProperties::default(),
            body: bytes::Bytes::new(),
        };
        Job::new(message, true)
    }

    /// On a busy machine the confirm of a message is here before the desk has ended handing it over.
    #[tokio::test]
    async fn what_is_held_behind_a_message_goes_when_that_is_confirmed_at_once() {
        let settings = Arc::new(RabbitMq::builder("amqp://localhost").settings(true).unwrap());
        // It is closed, so that whatever is begun ends at once.
        let stop = CancellationToken::new();
        stop.cancel();
        let link = Link::new(
            Role::Publisher,
            Arc::clone(&settings),
            Io::shared().unwrap(),
            stop,
        );
        let mut desk = Desk::new(Arc::new(Queue::new()), Arc::new(link), settings);
        let (first, confirmed) = alone();
        let (second, behind) = alone();
        desk.alone = true;
        desk.on_their_way.push(Sending::over(Done {
            route: Routes::default().of(&"e".into(), &"k".into(), &BasicProperties::default()),
            number: 1,
            alone: true,
            taken: Ok(true),
            returned: None,
            reply: first.reply,
        }));
        desk.held.push_back(second);

        desk.begin_waiting().await;
        assert!(matches!(confirmed.await, Ok(Verdict::Known(Ok(())))));
        assert!(desk.held.is_empty());
        assert!(matches!(
            behind.await,
            Ok(Verdict::Known(Err(PublishError::Closed)))
        ));
    }
}
