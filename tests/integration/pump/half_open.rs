//! What waits for a circuit is handled as soon as the circuit lets it, and no later: in the time of the test's clock.

use brighter::policy::{CircuitBreaker, CircuitState, PolicyRegistry};
use brighter_tests::wait::{until, until_eq};
use tokio::time::Instant;

use super::*;

/// How long a handler works.
const WORK: Duration = Duration::from_millis(50);
/// How long the circuit stays open.
const OPEN: Duration = Duration::from_secs(3);
/// How far the clock of the tests rounds.
const TICK: Duration = Duration::from_millis(5);

/// What one call of the handler does, when it has worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Succeed,
    Fail,
    Reject,
    Panic,
    Cancelled,
    Hang,
}

/// Does what the script says, call by call, and succeeds when that is over.
#[derive(Clone)]
struct Play {
    script: Arc<[Act]>,
    calls: Arc<Mutex<Vec<Instant>>>,
}

impl Play {
    fn new(script: impl Into<Arc<[Act]>>) -> Self {
        Self {
            script: script.into(),
            calls: Arc::default(),
        }
    }

    /// When each call began.
    fn calls(&self) -> Vec<Instant> {
        self.calls.lock().unwrap().clone()
    }

    async fn call(&self) -> Result<(), BoxError> {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(Instant::now());
            calls.len() - 1
        };
        tokio::time::sleep(WORK).await;
        match self.script.get(call).copied().unwrap_or(Act::Succeed) {
            Act::Succeed => Ok(()),
            Act::Fail => Err("away".into()),
            Act::Reject => Err(brighter::Reject::because("business says no").into()),
            Act::Panic => panic!("told to panic"),
            Act::Cancelled => Err(brighter::HandlerError::Cancelled.into()),
            Act::Hang => std::future::pending().await,
        }
    }
}

/// Behind one breaker.
#[derive(Clone)]
struct Guarded(Play);

#[handler]
impl Handler<Note> for Guarded {
    #[use_policy(circuit_breaker, step = 1)]
    async fn handle(&self, _: &Note) -> Result<(), BoxError> {
        self.0.call().await
    }
}

/// Behind one breaker, with a time-out that counts.
#[derive(Clone)]
struct Timed(Play);

#[handler]
impl Handler<Note> for Timed {
    #[use_policy(circuit_breaker, step = 1)]
    #[timeout("1s", step = 2)]
    async fn handle(&self, _: &Note) -> Result<(), BoxError> {
        self.0.call().await
    }
}

/// Behind two breakers.
#[derive(Clone)]
struct GuardedTwice(Play);

#[handler]
impl Handler<Note> for GuardedTwice {
    #[use_policy(circuit_breaker, step = 1)]
    #[use_policy(inner, step = 2)]
    async fn handle(&self, _: &Note) -> Result<(), BoxError> {
        self.0.call().await
    }
}

/// How many messages are handled at once: performers, and how many each handles.
const CAPACITIES: [(usize, usize); 6] = [(1, 1), (1, 4), (1, 64), (4, 1), (64, 1), (8, 8)];
const MESSAGES: usize = 1_000;

/// One run: the first message opens the circuit, and then the others come.
struct Run {
    dispatcher: Dispatcher,
    breaker: CircuitBreaker,
    play: Play,
    capacity: usize,
    /// When the circuit opened, and when it last closed.
    opened: Instant,
    closed: Arc<Mutex<Option<Instant>>>,
}

impl Run {
    async fn begin<H>(
        (performers, concurrency): (usize, usize),
        script: &[Act],
        handler: fn(Play) -> H,
        messages: usize,
    ) -> Self
    where
        H: brighter::pipeline::HandlerPipeline<Note>,
    {
        let play = Play::new(script);
        let breaker = CircuitBreaker::consecutive(1, OPEN);
        let inner = CircuitBreaker::consecutive(1, 2 * OPEN);
        let policies = PolicyRegistry::default()
            .insert("circuit_breaker", breaker.clone())
            .insert("inner", inner);
        let processor = CommandProcessor::builder()
            .broker(InMemoryBroker::new())
            .outbox(InMemoryOutbox::new())
            .policies(policies)
            .handler(handler(play.clone()))
            .build()
            .unwrap();
        let subscription = notes()
            .performers(performers)
            .concurrency(concurrency)
            .attempts(1)
            .timeout(20 * SECOND);
        let dispatcher = Dispatcher::builder(processor)
            .subscription(subscription)
            .build()
            .unwrap();
        dispatcher.receive();
        dispatcher.wait_until_consuming().await;
        let mut changes = breaker.changes();
        let closed: Arc<Mutex<Option<Instant>>> = Arc::default();
        post(&dispatcher, [note(0, 0)]).await;
        assert_eq!(changes.next().await, CircuitState::Open);
        let opened = Instant::now();
        tokio::spawn({
            let closed = Arc::clone(&closed);
            async move {
                while changes.next().await != CircuitState::Closed {}
                *closed.lock().unwrap() = Some(Instant::now());
            }
        });
        post(
            &dispatcher,
            (1..messages).map(|number| note(0, u32::try_from(number).unwrap())),
        )
        .await;
        Self {
            dispatcher,
            breaker,
            play,
            capacity: performers * concurrency,
            opened,
            closed,
        }
    }

    /// Waits until there were so many calls, and checks when they were: the probes at these times after the circuit
    /// opened, and none beside them; after it closed, as many at once as there may be, and one after the other without a
    /// pause. `late` is what messages wait for reasons of their own.
    async fn check(self, calls: usize, probes: &[Duration], late: Duration) {
        let all = async {
            while self.play.calls().len() < calls {
                tokio::time::sleep(SECOND).await;
            }
        };
        let all = tokio::time::timeout(1_000 * SECOND, all).await;
        let began = self.play.calls();
        assert!(all.is_ok(), "{} of {calls}", began.len());
        for (call, after) in began[1..].iter().zip(probes) {
            let was = *call - self.opened;
            assert!(was >= *after && was < *after + TICK, "{was:?}, not {after:?}");
        }
        let closed = self.closed.lock().unwrap().expect("it has closed");
        let after = &began[1 + probes.len()..];
        assert!(after[0] >= closed, "a call beside the probe");
        let at_once = after.iter().filter(|call| **call < closed + TICK).count();
        // One may be with the probe that is not done.
        assert!(
            at_once + 1 >= self.capacity.min(after.len()),
            "{at_once} of {} when it closed",
            self.capacity
        );
        let rounds = u32::try_from(after.len().div_ceil(self.capacity)).unwrap();
        let last = *after.last().unwrap() - closed;
        assert!(
            last <= rounds * (WORK + TICK) + WORK + late,
            "the last after {last:?}, for {rounds} rounds"
        );
        self.dispatcher.end().await;
    }
}

async fn probes(script: &[Act], handler: impl Fn() -> fn(Play) -> Guarded, expected: &[Duration]) {
    for capacity in CAPACITIES {
        let run = Run::begin(capacity, script, handler(), MESSAGES).await;
        run.check(MESSAGES, expected, Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_successful_probe_releases_all_waiting_messages() {
    probes(&[Act::Fail], || Guarded, &[OPEN]).await;
}

#[tokio::test(start_paused = true)]
async fn a_rejected_probe_is_replaced_at_once() {
    let script = [Act::Fail, Act::Reject, Act::Reject];
    probes(&script, || Guarded, &[OPEN, OPEN + WORK, OPEN + 2 * WORK]).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_is_replaced_after_the_open_time() {
    for bad in [Act::Fail, Act::Panic] {
        probes(&[Act::Fail, bad], || Guarded, &[OPEN, 2 * OPEN + WORK]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_is_replaced_at_once() {
    for capacity in CAPACITIES {
        let run = Run::begin(capacity, &[Act::Fail, Act::Cancelled], Guarded, MESSAGES).await;
        // The message that was cancelled is given back after a second, and its performer may be busy with that.
        let second = match capacity {
            (1, 1) => OPEN + WORK + SECOND,
            _ => OPEN + WORK,
        };
        run.check(MESSAGES + 1, &[OPEN, second], 2 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_dropped_by_timeout_is_replaced_at_once() {
    for capacity in CAPACITIES {
        let run = Run::begin(capacity, &[Act::Fail, Act::Hang], Guarded, MESSAGES).await;
        run.check(MESSAGES, &[OPEN, OPEN + 20 * SECOND], Duration::ZERO)
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_timed_out_probe_is_replaced_after_the_open_time() {
    for capacity in CAPACITIES {
        let run = Run::begin(capacity, &[Act::Fail, Act::Hang], Timed, MESSAGES).await;
        run.check(MESSAGES, &[OPEN, 2 * OPEN + SECOND], Duration::ZERO)
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_breakers_release_messages_when_both_closed() {
    for capacity in CAPACITIES {
        let run = Run::begin(capacity, &[Act::Fail], GuardedTwice, MESSAGES).await;
        // The outer one would let them through sooner.
        run.check(MESSAGES, &[2 * OPEN], Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn closing_a_circuit_by_hand_releases_all_at_once() {
    for capacity in &CAPACITIES[1..] {
        let run = Run::begin(*capacity, &[Act::Fail, Act::Hang], Guarded, MESSAGES).await;
        until_eq("the probe", 2, || run.play.calls().len()).await;
        tokio::time::sleep(SECOND).await;
        run.breaker.force_closed();
        run.check(MESSAGES, &[OPEN], 20 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ending_a_held_open_circuit_releases_all_at_once() {
    for capacity in CAPACITIES {
        let run = Run::begin(capacity, &[Act::Fail], Guarded, MESSAGES).await;
        run.breaker.force_open();
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(run.play.calls().len(), 1);
        run.breaker.reset();
        run.check(MESSAGES, &[], Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_leaving_its_circuit_lets_others_in() {
    let run = Run::begin(
        (1, 4),
        &[Act::Fail, Act::Hang, Act::Hang, Act::Hang, Act::Hang],
        Guarded,
        5,
    )
    .await;
    run.breaker.force_open();
    until_eq("one waits for the circuit", 1, || {
        run.dispatcher.status()[0].in_hand()
    })
    .await;
    run.breaker.force_closed();
    // None of them ends.
    until_eq("all of them", 5, || run.play.calls().len()).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_waiting_for_a_circuit_returns_on_stop() {
    let run = Run::begin((1, 1), &[Act::Fail], Guarded, 2).await;
    run.breaker.force_open();
    until("it waits", || run.dispatcher.status()[0].in_hand() == 1).await;
    let began = Instant::now();
    assert!(run.dispatcher.end().await.interrupted.is_empty());
    assert!(began.elapsed() < SECOND);
    assert_eq!(run.play.calls().len(), 1);
}
