//! The private brokers that the faults are done to. A few serve every test: starting one takes seconds.
//!
//! Tests that leave theirs as it is share one ([`shared`]); one that kills it, stops it or raises an alarm has another
//! for itself ([`to_harm`]). The next test finds it mended, whatever the last one did or died of.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use brighter_test_servers::{Broker, Error, Install, Settings};
use brighter_tests::rabbitmq::{close_connections, connections};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard, OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::wait::{deadline, in_time};

/// The password of every node: no line of a log may hold it.
pub const PASSWORD: &str = "hunter2-is-no-secret";
/// On a machine with little memory left, a node would hold publishers back at once.
const CONFIG: &str = "vm_memory_high_watermark.absolute = 4GB\n";

/// What a broker takes that was told nothing else: 128 MiB.
const MAX_MESSAGE_SIZE: usize = 128 * 1024 * 1024;

/// A private broker.
pub struct Node {
    broker: Arc<std::sync::Mutex<Broker>>,
    name: String,
    url: String,
    address: String,
    tls_address: Option<String>,
    ctl: std::path::PathBuf,
    /// Somebody has done it harm, and it is not mended yet.
    harmed: AtomicBool,
}

impl Node {
    /// Starts a broker, and waits until it is up.
    ///
    /// # Panics
    /// RabbitMQ is missing and cannot be installed, or it does not start.
    pub async fn start(settings: Settings) -> Self {
        let broker = spawn_blocking(move || {
            let install = Install::find_or_install()?;
            let broker = Broker::launch(&install, settings)?;
            broker.until_up()?;
            Ok::<_, Error>(broker)
        });
        let broker = broker.await.expect("starting does not panic");
        Self::of(broker.unwrap_or_else(|error| panic!("{error:#}")))
    }

    /// Takes a broker that is up.
    pub(crate) fn of(broker: Broker) -> Self {
        Self {
            name: broker.node().to_owned(),
            url: broker.url(),
            address: broker.address(),
            tls_address: broker.tls_address(),
            ctl: broker.ctl(),
            broker: Arc::new(std::sync::Mutex::new(broker)),
            harmed: AtomicBool::new(false),
        }
    }

    /// The settings that the tests use: a user with a password to look for in the logs.
    #[must_use]
    pub fn settings() -> Settings {
        Settings {
            user: "tester".into(),
            password: PASSWORD.into(),
            config: CONFIG.into(),
            ..Settings::default()
        }
    }

    /// Its name, as the nodes of a cluster call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of its virtual host `/`, with user and password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same URL for another way to it, `host:port`.
    #[must_use]
    pub fn url_at(&self, address: &str) -> String {
        self.url.replace(&self.address, address)
    }

    /// `host:port` of it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `host:port` of its TLS listener.
    ///
    /// # Panics
    /// It has none.
    #[must_use]
    pub fn tls_address(&self) -> &str {
        self.tls_address.as_deref().expect("the node has a TLS listener")
    }

    /// Kills it, as `kill -9` does.
    pub async fn kill(&self) {
        self.tell(Broker::kill).await;
    }

    /// Stops it, as a machine that shuts down does.
    pub async fn stop(&self) {
        self.tell(Broker::stop).await;
    }

    /// Starts it after it was killed or stopped, with its data, and waits until it is up.
    pub async fn start_again(&self) {
        self.tell(|broker| {
            broker.start()?;
            broker.until_up()
        })
        .await;
    }

    /// Starts it if it is not there, and waits until it is up.
    pub async fn start_if_down(&self) {
        if self.is_running().await {
            self.tell(|broker| broker.until_up()).await;
        } else {
            self.start_again().await;
        }
    }

    /// Takes all data of it away, as a machine that is replaced. It must be down.
    pub async fn wipe(&self) {
        self.tell(|broker| broker.wipe()).await;
    }

    async fn is_running(&self) -> bool {
        let broker = Arc::clone(&self.broker);
        let running =
            spawn_blocking(move || broker.lock().unwrap_or_else(PoisonError::into_inner).is_running());
        running.await.expect("looking does not panic")
    }

    async fn tell(&self, what: impl FnOnce(&mut Broker) -> Result<(), Error> + Send + 'static) {
        self.harmed.store(true, Ordering::SeqCst);
        let broker = Arc::clone(&self.broker);
        let done = spawn_blocking(move || what(&mut broker.lock().unwrap_or_else(PoisonError::into_inner)));
        done.await
            .expect("telling does not panic")
            .unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Evaluates Erlang within the broker, and gives what it is worth.
    ///
    /// # Panics
    /// It cannot be evaluated.
    pub async fn eval(&self, erlang: &str) -> String {
        let begun = Instant::now();
        loop {
            let output = self.erl_call(erlang).await;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let worth = said.trim().strip_prefix("{ok, ");
            if let Some(worth) = worth.and_then(|worth| worth.strip_suffix('}')) {
                return worth.to_owned();
            }
            let errors = String::from_utf8_lossy(&output.stderr);
            // On a busy machine a greeting between nodes may take too long.
            assert!(
                errors.contains("failed to connect") && begun.elapsed() < deadline(),
                "the broker could not evaluate `{erlang}`: {said} {errors}"
            );
        }
    }

    async fn erl_call(&self, erlang: &str) -> std::process::Output {
        let command = self
            .broker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .eval()
            .unwrap_or_else(|error| panic!("{error:#}"));
        let mut child = Command::from(command).spawn().expect("erl_call starts");
        let mut input = child.stdin.take().expect("erl_call has an input");
        let line = format!("{erlang}\n");
        // One that has ended already reads nothing, and its exit tells why.
        let _ = input.write_all(line.as_bytes()).await;
        drop(input);
        child.wait_with_output().await.expect("erl_call ends")
    }

    /// Calls `rabbitmqctl`, which takes a second or two, and gives what it wrote.
    ///
    /// # Panics
    /// It fails.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.ctl)
            .arg("--quiet")
            .args(arguments)
            .output()
            .await
            .expect("rabbitmqctl starts");
        assert!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// How many connections there are whose name begins so.
    pub async fn connections(&self, name: &str) -> usize {
        let count = format!("length({}).", connections(name));
        self.eval(&count).await.parse().expect("a number")
    }

    /// Which connections there are whose name begins so, as the broker numbers them.
    pub async fn connection_pids(&self, name: &str) -> String {
        self.eval(&format!("lists:sort({}).", connections(name))).await
    }

    /// Closes the connections whose name begins so, as an operator does, and says how many they were.
    pub async fn close_connections(&self, name: &str) -> usize {
        let close = close_connections(name);
        self.eval(&close).await.parse().expect("a number")
    }

    /// How many connections there are at this node of a cluster whose name begins so.
    pub async fn local_connections(&self, name: &str) -> usize {
        let count = format!("length({}).", self.local(name));
        self.eval(&count).await.parse().expect("a number")
    }

    /// Closes those, and says how many they were.
    pub async fn close_local_connections(&self, name: &str) -> usize {
        let close = format!(
            "Found = {}, [rabbit_networking:close_connection(P, \"by a test\") || P <- Found], length(Found).",
            self.local(name)
        );
        self.eval(&close).await.parse().expect("a number")
    }

    /// Erlang for the connections at this node alone: it asks no other, which may not answer.
    fn local(&self, name: &str) -> String {
        connections(name).replace("connections()", "local_connections()")
    }

    /// Waits until the broker has written down which queues there are, before it is killed.
    ///
    /// What RabbitMQ 3.10 says of a queue that was declared, it writes at once; that the declaration holds, in most
    /// cases at once too, and else within two seconds. Killed before, it takes the declaration for one that was given
    /// up, and what it had confirmed for the queue goes with it. Where the log of a quorum queue is, it writes half a
    /// second after the declaration; killed before, it does not find the log again, begins an empty one, and elects
    /// no leader for it. No client can see either, or mend it. What keeps its metadata in Khepri, as 4.3 does, writes
    /// it before it answers.
    pub async fn write_queues(&self) {
        self.eval(
            "case whereis(mnesia_recover) of undefined -> none; \
                 _ -> mnesia_recover:sync(), ok = mnesia:sync_log() end, \
             [dets:sync(Table) || Table <- dets:all()], done.",
        )
        .await;
    }

    /// How many messages a queue of the virtual host `/` holds, those that are being handled included, and how many
    /// of them wait.
    ///
    /// A quorum queue's own figures are up to five seconds old, and nothing at first: its leader is asked, as soon as
    /// it has one.
    ///
    /// # Panics
    /// There is no such queue.
    pub async fn depth(&self, queue: &str) -> (usize, usize) {
        // Newer ones tell it without being asked by a function, which those of 4.3 do not take.
        let depth = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             Both = fun(All, Ready) -> 1000000 * All + Ready end, \
             Counted = fun(S) -> Both(rabbit_fifo:query_messages_total(S), rabbit_fifo:query_messages_ready(S)) end, \
             Tells = erlang:function_exported(ra, member_overview, 1), \
             case amqqueue:get_type(Q) of \
                 rabbit_quorum_queue -> \
                     case ra:members(amqqueue:get_pid(Q)) of \
                         {{ok, _, Leader}} when Tells -> \
                             {{ok, #{{machine := Machine}}, _}} = ra:member_overview(Leader), \
                             #{{num_messages := All, num_ready_messages := Ready}} = Machine, Both(All, Ready); \
                         {{ok, _, Leader}} -> \
                             case ra:leader_query(Leader, Counted) of {{ok, {{_, N}}, _}} -> N; _ -> none end; \
                         _ -> none end; \
                 _ -> [{{_, All}}, {{_, Ready}}] = rabbit_amqqueue:info(Q, [messages, messages_ready]), Both(All, Ready) \
             end."
        );
        let depth: usize = in_time("the queue's leader", async {
            loop {
                let answer = self.eval(&depth).await;
                if answer != "none" {
                    return answer.parse().expect("a number");
                }
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        (depth / 1_000_000, depth % 1_000_000)
    }

    /// Deletes a queue of the virtual host `/`, also one that has consumers.
    pub async fn delete_queue(&self, queue: &str) {
        let delete = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             rabbit_amqqueue:delete(Q, false, false, <<\"a test\">>), done."
        );
        self.eval(&delete).await;
    }

    /// Has a queue forget its consumers, which go on as if it did not. They are as deaf as those on a node that is cut off
    /// from the queue.
    ///
    /// # Panics
    /// The queue has none.
    pub async fn forget_consumers(&self, queue: &str) {
        let forget = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             Forget = fun(Tag, Pid) -> case amqqueue:get_pid(Q) of \
                 {{_, _}} = Member -> \
                     {{ok, _, _}} = ra:process_command(Member, rabbit_fifo:make_checkout({{Tag, Pid}}, cancel, #{{}})); \
                 Classic -> \
                     ok = gen_server2:call(Classic, case erlang:function_exported(rabbit_queue_type, cancel, 3) of \
                         true -> {{stop_consumer, #{{pid => Pid, consumer_tag => Tag, user => <<\"a test\">>}}}}; \
                         false -> {{basic_cancel, Pid, Tag, undefined, <<\"a test\">>}} \
                     end) \
             end end, \
             [_ | _] = [Forget(element(2, C), element(1, C)) || C <- rabbit_amqqueue:consumers(Q)], forgotten."
        );
        assert_eq!(self.eval(&forget).await, "forgotten");
    }

    /// Raises or clears the alarm of a broker that is short of memory: it takes no messages then.
    pub async fn memory_alarm(&self, on: bool) {
        self.harmed.store(true, Ordering::SeqCst);
        let watermark = if on { "1.0e-6" } else { "{absolute, \"4GB\"}" };
        self.eval(&format!(
            "vm_memory_monitor:set_vm_memory_high_watermark({watermark}), done."
        ))
        .await;
    }

    /// Raises or clears the alarm of a broker that is short of disk: it takes no messages then.
    pub async fn disk_alarm(&self, on: bool) {
        self.harmed.store(true, Ordering::SeqCst);
        let limit = if on { "900000000000000" } else { "1000000" };
        self.eval(&format!(
            "rabbit_disk_monitor:set_disk_free_limit({limit}), done."
        ))
        .await;
    }

    /// How long a delivery may stay unsettled on channels that are opened from now on. The broker looks every
    /// second then, and not once a minute.
    pub async fn consumer_timeout(&self, limit: Option<Duration>) {
        self.harmed.store(true, Ordering::SeqCst);
        let (limit, look) = limit.map_or((1_800_000, 60_000), |limit| (limit.as_millis(), 1_000));
        self.eval(&format!(
            "application:set_env(rabbit, consumer_timeout, {limit}), \
             application:set_env(rabbit, channel_tick_interval, {look}), done."
        ))
        .await;
    }

    /// Its version: the first two numbers.
    ///
    /// # Panics
    /// It does not tell.
    pub async fn version(&self) -> (u32, u32) {
        let said = self.eval("rabbit_misc:version().").await;
        let mut numbers = said.split(|part: char| !part.is_ascii_digit());
        let mut next = || numbers.find_map(|number| number.parse().ok());
        next().zip(next()).unwrap_or_else(|| panic!("a version: {said}"))
    }

    /// How large a message it takes, on channels that are opened from now on.
    pub async fn max_message_size(&self, bytes: Option<usize>) {
        self.harmed.store(true, Ordering::SeqCst);
        let bytes = bytes.unwrap_or(MAX_MESSAGE_SIZE);
        self.eval(&format!(
            "persistent_term:put(max_message_size, {bytes}), \
             application:set_env(rabbit, max_message_size, {bytes}), done."
        ))
        .await;
    }

    /// Makes it as it was at the start, if somebody has done it harm.
    async fn mend(&self) {
        if !self.harmed.load(Ordering::SeqCst) {
            return;
        }
        self.start_if_down().await;
        self.memory_alarm(false).await;
        self.disk_alarm(false).await;
        self.consumer_timeout(None).await;
        self.max_message_size(None).await;
        self.harmed.store(false, Ordering::SeqCst);
    }
}

/// The node that nobody harms.
static SPARED: OnceCell<Node> = OnceCell::const_new();
/// Those that are there to be harmed, each by one test at a time.
static HARMED: [OnceCell<Node>; 2] = [const { OnceCell::const_new() }; 2];
static TURNS: [Mutex<()>; HARMED.len()] = [const { Mutex::const_new(()) }; HARMED.len()];
/// Open to all tests with a node, or to one.
static GATE: RwLock<()> = RwLock::const_new(());

/// The node that is spared, shared with others: do it no harm.
pub struct Shared {
    node: &'static Node,
    _gate: RwLockReadGuard<'static, ()>,
}

/// A node for one test, to do harm to.
pub struct Alone {
    node: &'static Node,
    _turn: MutexGuard<'static, ()>,
    _gate: Gate,
}

/// Held, and not looked at.
#[allow(dead_code, reason = "a guard is there to be dropped")]
enum Gate {
    Open(RwLockReadGuard<'static, ()>),
    Shut(RwLockWriteGuard<'static, ()>),
}

impl Deref for Shared {
    type Target = Node;

    fn deref(&self) -> &Node {
        self.node
    }
}

impl Deref for Alone {
    type Target = Node;

    fn deref(&self) -> &Node {
        self.node
    }
}

/// The node that many tests use, shared with others: do it no harm.
pub async fn shared() -> Shared {
    let gate = GATE.read().await;
    let node = SPARED.get_or_init(start).await;
    Shared { node, _gate: gate }
}

/// A node to do harm to, mended after whatever was done to it before. Others go on beside it with another node.
pub async fn to_harm() -> Alone {
    let (turn, place) = tokio::select! {
        turn = TURNS[0].lock() => (turn, &HARMED[0]),
        turn = TURNS[1].lock() => (turn, &HARMED[1]),
    };
    let gate = Gate::Open(GATE.read().await);
    harmed(turn, place, gate).await
}

/// The same for a test that counts what this process holds: no other test has a node meanwhile.
pub async fn alone() -> Alone {
    let turn = TURNS[0].lock().await;
    let gate = Gate::Shut(GATE.write().await);
    harmed(turn, &HARMED[0], gate).await
}

async fn harmed(turn: MutexGuard<'static, ()>, place: &'static OnceCell<Node>, gate: Gate) -> Alone {
    let node = place.get_or_init(start).await;
    node.mend().await;
    Alone {
        node,
        _turn: turn,
        _gate: gate,
    }
}

async fn start() -> Node {
    Node::start(Node::settings()).await
}
