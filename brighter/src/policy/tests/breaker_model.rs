//! The circuit breaker against a model, over random sequences of what may happen to it.

use std::time::Duration;

use proptest::prelude::*;

use crate::policy::circuit_breaker::{Permit, Verdict};
use crate::policy::{CircuitBreaker, CircuitState, SlidingWindow};

#[derive(Debug, Clone, Copy)]
enum Trips {
    Row(u32),
    Calls { percent: u32, calls: u32, minimum: u32 },
    Time { percent: u32, tenth: u64, minimum: u32 },
}

#[derive(Debug, Clone, Copy)]
struct Config {
    trips: Trips,
    open_for: u64,
    probes: u32,
    successes: u32,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Call,
    /// One of the running calls ends. Without a verdict it was dropped, or said nothing.
    End(usize, Verdict),
    Pass(u64),
    ForceOpen,
    ForceClosed,
    Reset,
}

enum Mode {
    /// When it closed, and every call since: when it ended and whether it failed.
    Closed(u64, Vec<(u64, bool)>),
    Open(u64),
    HalfOpen {
        running: u32,
        successes: u32,
    },
    Held(CircuitState),
}

struct Model {
    config: Config,
    now: u64,
    mode: Mode,
    /// Which stretch of one mode this is.
    stretch: usize,
}

impl Model {
    fn enter(&mut self, mode: Mode) {
        self.mode = mode;
        self.stretch += 1;
    }

    fn state(&self) -> CircuitState {
        match self.mode {
            Mode::Closed(..) => CircuitState::Closed,
            Mode::Open(until) if self.now < until => CircuitState::Open,
            Mode::Open(_) | Mode::HalfOpen { .. } => CircuitState::HalfOpen,
            Mode::Held(state) => state,
        }
    }

    fn open_for(&self) -> Option<u64> {
        match self.mode {
            Mode::Open(until) => until.checked_sub(self.now).filter(|left| *left > 0),
            _ => None,
        }
    }

    /// The stretch in which a call began, or how long it is told to wait.
    fn call(&mut self) -> Result<usize, u64> {
        if self.state() == CircuitState::Open {
            return Err(self.open_for().unwrap_or(self.config.open_for));
        }
        if let Mode::Open(_) = self.mode {
            self.enter(Mode::HalfOpen {
                running: 0,
                successes: 0,
            });
        }
        if let Mode::HalfOpen { running, .. } = &mut self.mode {
            if *running == self.config.probes {
                return Err(self.config.open_for);
            }
            *running += 1;
        }
        Ok(self.stretch)
    }

    fn end(&mut self, stretch: usize, verdict: Verdict) {
        if stretch != self.stretch {
            return;
        }
        let until = self.now + self.config.open_for;
        match &mut self.mode {
            Mode::Closed(since, ended) => {
                if verdict != Verdict::None {
                    ended.push((self.now, verdict == Verdict::Failure));
                    if trips(self.config.trips, self.now, *since, ended) {
                        self.enter(Mode::Open(until));
                    }
                }
            }
            Mode::HalfOpen { running, successes } => {
                *running -= 1;
                match verdict {
                    Verdict::Failure => self.enter(Mode::Open(until)),
                    Verdict::Success => {
                        *successes += 1;
                        if *successes == self.config.successes {
                            self.enter(Mode::Closed(self.now, Vec::new()));
                        }
                    }
                    Verdict::None => {}
                }
            }
            Mode::Open(_) | Mode::Held(_) => {}
        }
    }
}

fn trips(trips: Trips, now: u64, since: u64, ended: &[(u64, bool)]) -> bool {
    let rate = |window: &[(u64, bool)], percent: u32, minimum: u32| {
        let failures = window.iter().filter(|(_, is_failure)| *is_failure).count();
        window.len() >= minimum as usize && failures * 100 >= percent as usize * window.len()
    };
    match trips {
        Trips::Row(limit) => {
            ended.len() >= limit as usize
                && ended.iter().rev().take(limit as usize).all(|(_, failed)| *failed)
        }
        Trips::Calls {
            percent,
            calls,
            minimum,
        } => {
            let first = ended.len().saturating_sub(calls as usize);
            rate(&ended[first..], percent, minimum.min(calls))
        }
        Trips::Time {
            percent,
            tenth,
            minimum,
        } => {
            let slot = |time: u64| (time - since) / tenth;
            let first = ended.partition_point(|(time, _)| slot(*time) + 10 <= slot(now));
            rate(&ended[first..], percent, minimum)
        }
    }
}

fn build(config: Config) -> CircuitBreaker {
    let open_for = Duration::from_millis(config.open_for);
    let rate = |percent: u32, window, minimum| {
        CircuitBreaker::failure_rate(f64::from(percent) / 100.0, window, open_for).minimum_calls(minimum)
    };
    let breaker = match config.trips {
        Trips::Row(limit) => CircuitBreaker::consecutive(limit, open_for),
        Trips::Calls {
            percent,
            calls,
            minimum,
        } => rate(percent, SlidingWindow::Calls(calls), minimum),
        Trips::Time {
            percent,
            tenth,
            minimum,
        } => rate(
            percent,
            SlidingWindow::Time(Duration::from_millis(tenth * 10)),
            minimum,
        ),
    };
    breaker.probes(config.probes).closes_after(config.successes)
}

fn configs() -> impl Strategy<Value = Config> {
    let trips = prop_oneof![
        (1..4_u32).prop_map(Trips::Row),
        (1..=100_u32, 1..8_u32, 1..10_u32).prop_map(|(percent, calls, minimum)| Trips::Calls {
            percent,
            calls,
            minimum
        }),
        (1..=100_u32, 1..8_u64, 1..6_u32).prop_map(|(percent, tenth, minimum)| Trips::Time {
            percent,
            tenth,
            minimum
        }),
    ];
    (trips, 1..30_u64, 1..4_u32, 1..4_u32).prop_map(|(trips, open_for, probes, successes)| Config {
        trips,
        open_for,
        probes,
        successes,
    })
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let verdict = prop_oneof![
        3 => Just(Verdict::Success),
        4 => Just(Verdict::Failure),
        1 => Just(Verdict::None),
    ];
    let event = prop_oneof![
        20 => Just(Event::Call),
        20 => (0..9_usize, verdict).prop_map(|(which, verdict)| Event::End(which, verdict)),
        8 => (1..25_u64).prop_map(Event::Pass),
        1 => Just(Event::ForceOpen),
        1 => Just(Event::ForceClosed),
        1 => Just(Event::Reset),
    ];
    prop::collection::vec(event, 1..150)
}

async fn follow(config: Config, events: Vec<Event>) {
    let breaker = build(config);
    let mut model = Model {
        config,
        now: 0,
        mode: Mode::Closed(0, Vec::new()),
        stretch: 0,
    };
    let mut running: Vec<(Permit, usize)> = Vec::new();
    for event in events {
        match event {
            Event::Call => match (breaker.admit(), model.call()) {
                (Ok(permit), Ok(stretch)) => running.push((permit, stretch)),
                (Err(wait), Err(expected)) => assert_eq!(wait, Duration::from_millis(expected)),
                (admitted, expected) => panic!("let through: {}, not {expected:?}", admitted.is_ok()),
            },
            Event::End(which, verdict) if !running.is_empty() => {
                let (mut permit, stretch) = running.swap_remove(which % running.len());
                if verdict != Verdict::None {
                    permit.settle(verdict, "test");
                }
                drop(permit);
                model.end(stretch, verdict);
            }
            Event::End(..) => {}
            Event::Pass(millis) => {
                tokio::time::advance(Duration::from_millis(millis)).await;
                model.now += millis;
            }
            Event::ForceOpen => {
                breaker.force_open();
                model.enter(Mode::Held(CircuitState::Open));
            }
            Event::ForceClosed => {
                breaker.force_closed();
                model.enter(Mode::Held(CircuitState::Closed));
            }
            Event::Reset => {
                breaker.reset();
                model.enter(Mode::Closed(model.now, Vec::new()));
            }
        }
        assert_eq!(breaker.state(), model.state(), "after {event:?}");
        assert_eq!(breaker.open_for(), model.open_for().map(Duration::from_millis));
        assert_eq!(breaker.is_forced(), matches!(model.mode, Mode::Held(_)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(config in configs(), events in events()) {
        super::retry_model::paused().block_on(follow(config, events));
    }
}
