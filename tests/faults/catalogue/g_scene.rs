//! What goes on while harm is done to a cluster: applications that publish and consume, and a bare client beside them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brighter::channel::{Producer, PublishError, QueueType};
use brighter::prelude::*;
use brighter::transport::rabbitmq::ExchangeKind;
use brighter::{MessageId, RabbitMq};
use brighter_faults::app::{Deed, What};
use brighter_faults::capture;
use brighter_faults::cluster::LiveCluster;
use brighter_faults::gauge::Gauge;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::scale::report;
use brighter_faults::wait::{deadline, in_time, until_answer};
use brighter_test_servers::patience;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::g_bare::BareClient;

/// How many applications there are, each with a queue of its own.
const APPS: usize = 3;
/// Each publishes to all queues in turn, so that none of them goes without while one publisher stands still.
const REST: Duration = Duration::from_millis(50);
/// What an application chooses that wants to be back soon.
const HEARTBEAT: Duration = Duration::from_secs(4);
const CONFIRM: Duration = Duration::from_secs(8);
/// No call may take longer than its deadline: this is for the machine.
const SLACK: Duration = Duration::from_secs(20);
/// How much longer than the broker itself needs an application may stand still: on a quiet machine, as all here.
const BEYOND: Duration = Duration::from_secs(10);
/// How long an application may stand still before it is not ready any more.
const UNNOTICED: Duration = Duration::from_secs(5);
/// How long it may be ready before the first step that ends the stall: it has to take place yet.
const RECOVERING: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);
/// How long a test waits for progress before it says who stands still. A broker that is back needs seconds.
const AT_MOST: Duration = Duration::from_secs(300);
/// How many steps are progress.
const STEPS: usize = 20;

/// Notes what it handles.
#[derive(Clone)]
struct Taker {
    ledger: Ledger,
    gauge: Gauge,
}

#[handler]
impl Handler<Deed> for Taker {
    async fn handle(&self, deed: &Deed) -> Result<(), std::io::Error> {
        self.ledger.write(Entry::Handled, &deed.id.to_string());
        self.gauge.mark();
        Ok(())
    }
}

/// A publisher and a subscription, on connections of their own.
pub(crate) struct ClusterApp {
    /// The name of its connections.
    pub(crate) name: String,
    pub(crate) queue: String,
    confirmed: Gauge,
    handled: Gauge,
    /// Calls that failed, after which the message was published again.
    failed: Arc<AtomicUsize>,
    /// For how many milliseconds on end it has been ready although it stood still.
    untrue: Arc<AtomicU64>,
    /// Whether it was not ready at any time.
    told: Arc<AtomicBool>,
    dispatcher: Dispatcher,
    publishing: JoinHandle<()>,
    watching: JoinHandle<()>,
}

/// Applications on a cluster, in full swing.
pub(crate) struct Scene<'c> {
    fault: &'static str,
    cluster: &'c LiveCluster,
    pub(crate) apps: Vec<ClusterApp>,
    pub(crate) bare: BareClient,
    pub(crate) ledger: Ledger,
    stop: Arc<AtomicBool>,
    /// A topic that is not published to for now: its index, or none.
    spared: Arc<AtomicUsize>,
}

impl<'c> Scene<'c> {
    /// Starts the applications, with the leaders of all queues and the first application at the first node, and
    /// waits until all make progress.
    pub(crate) async fn start(fault: &'static str, cluster: &'c LiveCluster) -> Self {
        capture::begin();
        let id = format!("fault-{}", MessageId::new());
        let ledger = Ledger::new();
        let (stop, spared) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(usize::MAX)),
        );
        let bare = BareClient::start(cluster, format!("{id}.bare")).await;
        let mut started = Vec::new();
        for index in 0..APPS {
            started.push(start(cluster, &id, index, &ledger).await);
        }
        let topics: Vec<_> = (0..APPS).map(topic).collect();
        // Only then are all queues there.
        let apps = started
            .into_iter()
            .map(|app| app.publish(&topics, &ledger, &stop, &spared))
            .collect();
        let scene = Self {
            fault,
            cluster,
            apps,
            bare,
            ledger,
            stop,
            spared,
        };
        for queue in scene.apps.iter().map(|app| &app.queue).chain([&scene.bare.queue]) {
            cluster.lead(queue, 0).await;
        }
        // A connection to publish by and one to consume by.
        cluster.gather(&scene.apps[0].name, 2, 0).await;
        scene.progress().await;
        for app in &scene.apps {
            until_answer("ready", true, async || app.is_ready().await).await;
        }
        scene.forget();
        scene
    }

    /// Notes that harm begins.
    pub(crate) fn fault(&self) {
        self.ledger.fault();
    }

    /// Publishes to one topic no more, or to all again.
    pub(crate) fn spare(&self, topic: Option<usize>) {
        for (index, app) in self.apps.iter().enumerate() {
            app.handled.rest(Some(index) == topic);
        }
        self.spared.store(topic.unwrap_or(usize::MAX), Ordering::SeqCst);
    }

    /// Notes that it is over.
    pub(crate) fn cleared(&self) {
        self.ledger.cleared();
    }

    /// Waits until every publisher and every consumer has made progress from now on.
    pub(crate) async fn progress(&self) {
        let apps = self.apps.iter().enumerate().flat_map(|(index, app)| {
            let name = |role| format!("progress of {role} {index}");
            [
                (name("publisher"), &app.confirmed),
                (name("consumer"), &app.handled),
            ]
        });
        let bare = [
            ("progress of the bare publisher".to_owned(), &self.bare.confirmed),
            ("progress of the bare consumer".to_owned(), &self.bare.delivered),
        ];
        let gauges: Vec<_> = apps.chain(bare).collect();
        let begun: Vec<_> = gauges.iter().map(|(_, gauge)| gauge.count()).collect();
        let standing = || {
            let still = gauges.iter().zip(&begun);
            let still = still.filter(|((_, gauge), begun)| gauge.count() < **begun + STEPS);
            still.map(|((what, _), _)| what.as_str()).collect::<Vec<_>>()
        };
        let waiting = async {
            while !standing().is_empty() {
                sleep(LOOK / 10).await;
            }
        };
        if timeout(AT_MOST, waiting).await.is_err() {
            let queues = self.apps.iter().map(|app| app.queue.as_str());
            let queues: Vec<_> = queues.chain([self.bare.queue.as_str()]).collect();
            let (still, says) = (standing(), self.cluster.says(&queues).await);
            panic!(
                "{}: waited {AT_MOST:?} in vain for {still:?}; the broker says:\n{says}",
                self.fault
            );
        }
    }

    /// Forgets the stalls so far.
    fn forget(&self) {
        for app in &self.apps {
            for gauge in [&app.confirmed, &app.handled] {
                gauge.begin();
            }
            app.untrue.store(0, Ordering::SeqCst);
            app.told.store(false, Ordering::SeqCst);
        }
        self.bare.confirmed.begin();
        self.bare.delivered.begin();
    }

    /// Ends the publishers, waits until all they published is handled, and checks what it comes to.
    pub(crate) async fn end(mut self) {
        // Before the end, which is no stall.
        let figures = Figures::of(&self);
        self.stop.store(true, Ordering::SeqCst);
        for app in &mut self.apps {
            in_time("the publishers", &mut app.publishing).await.unwrap();
        }
        // What is lost is told by the verdict.
        let begun = Instant::now();
        while !self.ledger.verdict().lost.is_empty() && begun.elapsed() < deadline() {
            sleep(LOOK).await;
        }
        for app in &self.apps {
            until_answer("ready", true, async || app.is_ready().await).await;
            app.watching.abort();
        }
        report(self.fault, &figures.text);
        self.ledger.verdict().check(self.fault);
        for app in self.apps {
            app.dispatcher.end().await;
            app.dispatcher.processor().close().await;
        }
        figures.check(self.fault);
        capture::assert_no_password();
        self.cluster.whole().await;
    }
}

fn topic(index: usize) -> String {
    format!("g.{index}")
}

/// An application that does not publish yet.
struct Started {
    app: ClusterApp,
    broker: RabbitMq,
}

async fn start(cluster: &LiveCluster, id: &str, index: usize, ledger: &Ledger) -> Started {
    let name = format!("{id}-{index}");
    let broker = RabbitMq::cluster(cluster.urls())
        .exchange(format!("{id}.exchange"), ExchangeKind::Topic)
        .connection_name(name.as_str())
        .queue_type(QueueType::Quorum)
        .heartbeat_interval(HEARTBEAT)
        .confirm_timeout(CONFIRM)
        .connect()
        .await
        .expect("a node answers");
    let (confirmed, handled) = (Gauge::default(), Gauge::default());
    let taker = Taker {
        ledger: ledger.clone(),
        gauge: handled.clone(),
    };
    let processor = CommandProcessor::builder()
        .handler(taker)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .expect("the processor is put together well");
    let queue = format!("{id}.queue.{index}");
    let dispatcher = Dispatcher::builder(processor)
        .subscription(Subscription::<Deed>::new(queue.as_str()).routing_key(topic(index)))
        .build()
        .expect("the dispatcher is put together well");
    dispatcher.receive();
    in_time("the performers to consume", dispatcher.wait_until_consuming()).await;
    let (untrue, told) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let watching = tokio::spawn(watch(
        dispatcher.clone(),
        [confirmed.clone(), handled.clone()],
        Arc::clone(&untrue),
        Arc::clone(&told),
    ));
    let app = ClusterApp {
        name,
        queue,
        confirmed,
        handled,
        failed: Arc::default(),
        untrue,
        told,
        dispatcher,
        publishing: tokio::spawn(async {}),
        watching,
    };
    Started { app, broker }
}

/// Measures for how long on end an application says that it is ready although it stands still.
async fn watch(dispatcher: Dispatcher, gauges: [Gauge; 2], untrue: Arc<AtomicU64>, told: Arc<AtomicBool>) {
    let mut since = None;
    loop {
        sleep(LOOK).await;
        if !dispatcher.health().await.is_ready() {
            told.store(true, Ordering::SeqCst);
            since = None;
        } else if gauges.iter().any(|gauge| gauge.idle() > UNNOTICED) {
            let lasts = since.get_or_insert_with(Instant::now).elapsed();
            let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
            untrue.fetch_max(lasts, Ordering::SeqCst);
        } else {
            since = None;
        }
    }
}

impl Started {
    fn publish(
        self,
        topics: &[String],
        ledger: &Ledger,
        stop: &Arc<AtomicBool>,
        spared: &Arc<AtomicUsize>,
    ) -> ClusterApp {
        let Self { mut app, broker } = self;
        let (topics, ledger, stop, spared) = (topics.to_vec(), ledger.clone(), stop.clone(), spared.clone());
        let (confirmed, failed) = (app.confirmed.clone(), app.failed.clone());
        app.publishing = tokio::spawn(async move {
            for (index, topic) in topics.iter().enumerate().cycle() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                if spared.load(Ordering::SeqCst) != index {
                    let deed = Deed::new(What::Note);
                    publish(&broker, &deed, topic, &ledger, &failed).await;
                    confirmed.mark();
                }
                sleep(REST).await;
            }
        });
        app
    }
}

/// Publishes a message until it is confirmed, or nobody wants it.
async fn publish(broker: &RabbitMq, deed: &Deed, topic: &str, ledger: &Ledger, failed: &AtomicUsize) {
    let (message, id) = (deed.message(topic), deed.id.to_string());
    ledger.write(Entry::Attempted, &id);
    let begun = Instant::now();
    loop {
        let call = timeout(CONFIRM + SLACK, broker.publish(&message)).await;
        match call.unwrap_or_else(|_| panic!("publishing hangs past its deadline")) {
            Ok(()) => {
                ledger.write(Entry::Acknowledged, &id);
                return;
            }
            // A queue that was deleted comes back with its consumer. The other queues are not to wait for that.
            Err(PublishError::Unroutable { .. } | PublishError::Refused { .. }) => {
                failed.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Err(error) if error.is_outage() => {}
            Err(error) => panic!("{error:?}"),
        }
        failed.fetch_add(1, Ordering::SeqCst);
        assert!(begun.elapsed() < 2 * deadline(), "{id} was never confirmed");
        sleep(REST).await;
    }
}

impl ClusterApp {
    /// Whether it says that it does what it is for.
    pub(crate) async fn is_ready(&self) -> bool {
        self.dispatcher.health().await.is_ready()
    }
}

/// How long everything stood still.
struct Figures {
    text: String,
    /// What the slowest application needed to publish and to handle, and what the broker itself did.
    stalls: [(&'static str, Duration, Duration); 2],
    untrue: u64,
}

impl Figures {
    fn of(scene: &Scene<'_>) -> Self {
        let longest = |gauge: fn(&ClusterApp) -> &Gauge| -> Vec<Duration> {
            scene.apps.iter().map(|app| gauge(app).longest()).collect()
        };
        let slowest = |stalls: &[Duration]| stalls.iter().max().copied().unwrap_or_default();
        let (publishers, consumers) = (longest(|app| &app.confirmed), longest(|app| &app.handled));
        let (publish, consume) = (scene.bare.confirmed.longest(), scene.bare.delivered.longest());
        let untrue = scene
            .apps
            .iter()
            .map(|app| app.untrue.load(Ordering::SeqCst))
            .max();
        let told = scene
            .apps
            .iter()
            .filter(|app| app.told.load(Ordering::SeqCst))
            .count();
        let failed: usize = scene
            .apps
            .iter()
            .map(|app| app.failed.load(Ordering::SeqCst))
            .sum();
        let mut text = String::new();
        let _ = write!(
            text,
            "publishers stood still for {:.1?}, a bare client {publish:.1?}; consumers {:.1?}, bare {consume:.1?}; \
             {told} of {APPS} were not ready for a time; ready while one had stood still for {} s: {} ms on end; \
             {failed} calls failed and were repeated",
            publishers,
            consumers,
            UNNOTICED.as_secs(),
            untrue.unwrap_or_default(),
        );
        Self {
            text,
            stalls: [
                ("a publisher", slowest(&publishers), publish),
                ("a consumer", slowest(&consumers), consume),
            ],
            untrue: untrue.unwrap_or_default(),
        }
    }

    fn check(&self, fault: &str) {
        for (who, stall, bare) in self.stalls {
            assert!(
                stall <= bare + patience(BEYOND),
                "{fault}: {who} stood still for {stall:.1?}, and the broker itself for {bare:.1?}"
            );
        }
        assert!(
            Duration::from_millis(self.untrue) <= patience(RECOVERING),
            "{fault}: an application said for {} ms that it was ready while it stood still",
            self.untrue
        );
    }
}
