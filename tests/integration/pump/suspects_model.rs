//! A model of who counts what when processes die, in which the rule of suspects is played through: whatever happens in
//! which order, only what ends its processes becomes a dead letter.

use std::collections::{BTreeSet, VecDeque};

use super::notes;

/// How a broker counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// A quorum queue before RabbitMQ 4.3: also what is given back. The broker sets aside what it delivered 20 times.
    Releases,
    /// A quorum queue since, or a SQLite broker: what a dead process had.
    Deaths,
    /// A classic queue, which says only that it delivers again.
    Flag,
}

/// What is played through.
#[derive(Debug, Clone, Copy)]
struct Setup {
    rules: Rules,
    keeps_order: bool,
    processes: usize,
    performers: usize,
    deadly: usize,
    /// Whether suspects are handled alone at all.
    careful: bool,
}

const BUFFER: usize = 10;
const INNOCENTS: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    number: usize,
    is_deadly: bool,
    /// What the broker has counted of this copy, and what the copy says of earlier ones.
    counted: u32,
    earlier: u32,
    /// Whether the broker delivers it again.
    again: bool,
}

impl Sent {
    fn redeliveries(&self) -> u32 {
        self.counted + self.earlier
    }
}

#[derive(Debug, Clone, Default)]
struct Process {
    /// What each performer has taken.
    taken: Vec<VecDeque<Sent>>,
    /// The performer that handles suspects alone, and what it has in hand.
    careful: Option<(usize, Option<Sent>)>,
}

struct World {
    setup: Setup,
    suspect_after: u32,
    limit: u32,
    queue: VecDeque<Sent>,
    dead_letters: BTreeSet<usize>,
    handled: usize,
    deaths: usize,
    processes: Vec<Process>,
    random: u64,
}

impl World {
    fn new(setup: Setup, seed: u64) -> Self {
        let settings = notes();
        let settings = settings.settings();
        let mut world = Self {
            setup,
            suspect_after: settings.suspect_after(),
            limit: settings.redeliveries,
            queue: VecDeque::new(),
            dead_letters: BTreeSet::new(),
            handled: 0,
            deaths: 0,
            processes: Vec::new(),
            random: seed * 2 + 1,
        };
        world.queue = (0..INNOCENTS + setup.deadly)
            .map(|number| Sent {
                number,
                is_deadly: number < setup.deadly,
                counted: 0,
                earlier: 0,
                again: false,
            })
            .collect();
        // The deadly ones are anywhere.
        for place in 0..setup.deadly {
            let other = world.below(world.queue.len());
            world.queue.swap(place, other);
        }
        let process = Process {
            taken: vec![VecDeque::new(); setup.performers],
            careful: None,
        };
        world.processes = vec![process; setup.processes];
        world
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % limit as u64).unwrap()
    }

    /// Plays until nothing is left, or for so long that something is wrong.
    fn play(mut self) -> Self {
        for _ in 0..200_000 {
            if self.is_over() {
                return self;
            }
            let process = self.below(self.setup.processes);
            match self.processes[process].careful {
                Some((performer, held)) => self.step_carefully(process, performer, held),
                None => self.step(process),
            }
        }
        panic!("it goes on forever: {:?}", self.setup);
    }

    fn is_over(&self) -> bool {
        let idle = |process: &Process| {
            process.taken.iter().all(VecDeque::is_empty)
                && process.careful.is_none_or(|(_, held)| held.is_none())
        };
        self.queue.is_empty() && self.processes.iter().all(idle)
    }

    fn step(&mut self, process: usize) {
        let performer = self.below(self.setup.performers);
        while self.processes[process].taken[performer].len() < BUFFER
            && let Some(sent) = self.receive()
        {
            self.processes[process].taken[performer].push_back(sent);
        }
        let Some(first) = self.processes[process].taken[performer].pop_front() else {
            return;
        };
        if !self.setup.careful || !self.is_suspect(&first) {
            return self.handle(process, first);
        }
        let held = (!self.setup.keeps_order).then_some(first);
        self.processes[process].careful = Some((performer, held));
        if held.is_none() {
            self.processes[process].taken[performer].push_front(first);
        }
        self.give_back_all(process, performer);
    }

    fn step_carefully(&mut self, process: usize, performer: usize, held: Option<Sent>) {
        let busy = |other: &usize| !self.processes[process].taken[*other].is_empty();
        if let Some(other) = (0..self.setup.performers).find(busy) {
            // It has not heard of it yet, or has.
            let first = self.processes[process].taken[other][0];
            if self.below(2) == 0 && !self.is_suspect(&first) {
                self.processes[process].taken[other].pop_front();
                return self.handle(process, first);
            }
            return self.give_back_all(process, other);
        }
        let next = held.or_else(|| self.receive());
        self.processes[process].careful = None;
        let Some(next) = next else { return };
        if held.is_none() && !self.is_suspect(&next) && next.redeliveries() < self.limit {
            match self.setup.keeps_order {
                true => self.give_back(next),
                false => self.processes[process].taken[performer].push_back(next),
            }
            return;
        }
        self.processes[process].careful = Some((performer, None));
        self.handle(process, next);
    }

    fn is_suspect(&self, sent: &Sent) -> bool {
        (self.suspect_after..self.limit).contains(&sent.redeliveries())
    }

    /// The next message of the queue, if it has one: those that must be counted come again at its end.
    fn receive(&mut self) -> Option<Sent> {
        loop {
            let mut sent = self.queue.pop_front()?;
            if self.setup.rules != Rules::Flag || !sent.again {
                return Some(sent);
            }
            sent.again = false;
            if self.setup.keeps_order {
                return Some(sent);
            }
            sent.earlier += 1;
            self.queue.push_back(sent);
        }
    }

    fn handle(&mut self, process: usize, sent: Sent) {
        if sent.redeliveries() >= self.limit {
            assert!(self.dead_letters.insert(sent.number));
        } else if sent.is_deadly {
            self.die(process, sent);
        } else {
            self.handled += 1;
        }
    }

    /// Whatever the process had comes again, and counts.
    fn die(&mut self, process: usize, in_hand: Sent) {
        self.deaths += 1;
        let performers = self.setup.performers;
        let process = &mut self.processes[process];
        let held = process.careful.take().and_then(|(_, held)| held);
        let taken: Vec<_> = process
            .taken
            .iter_mut()
            .flat_map(|taken| taken.drain(..))
            .collect();
        assert_eq!(process.taken.len(), performers);
        let mut back: Vec<_> = taken.into_iter().chain(held).chain([in_hand]).collect();
        back.sort_by_key(|sent| std::cmp::Reverse(sent.number));
        for mut sent in back {
            match self.setup.rules {
                Rules::Flag => sent.again = true,
                _ => sent.counted += 1,
            }
            self.put_first(sent);
        }
    }

    fn give_back_all(&mut self, process: usize, performer: usize) {
        let taken: Vec<_> = self.processes[process].taken[performer].drain(..).collect();
        taken.into_iter().rev().for_each(|sent| self.give_back(sent));
    }

    fn give_back(&mut self, mut sent: Sent) {
        if self.setup.rules == Rules::Deaths {
            return self.put_first(sent);
        }
        if self.setup.careful && !self.setup.keeps_order && sent.redeliveries() >= self.suspect_after {
            (sent.earlier, sent.counted) = (sent.redeliveries(), 0);
            return self.queue.push_back(sent);
        }
        match self.setup.rules {
            Rules::Flag => sent.again = true,
            _ => sent.counted += 1,
        }
        self.put_first(sent);
    }

    fn put_first(&mut self, sent: Sent) {
        if self.setup.rules != Rules::Flag && sent.counted > 20 {
            // By the broker.
            assert!(self.dead_letters.insert(sent.number));
        } else {
            self.queue.push_front(sent);
        }
    }
}

/// The dead letters, for every number of processes and performers.
fn innocents_among_the_dead(setup: Setup, seeds: u64) -> usize {
    let mut innocents = 0;
    for seed in 0..seeds {
        let world = World::new(setup, seed).play();
        let guilty = world.dead_letters.iter().filter(|number| **number < setup.deadly);
        assert_eq!(guilty.count(), setup.deadly, "{setup:?}, seed {seed}");
        let dead = world.dead_letters.len() - setup.deadly;
        assert_eq!(world.handled + dead, INNOCENTS, "{setup:?}, seed {seed}");
        let limit = usize::try_from(world.limit).unwrap();
        assert!(
            world.deaths <= setup.deadly * (limit + 1),
            "{} deaths",
            world.deaths
        );
        innocents += dead;
    }
    innocents
}

fn setups(careful: bool, keeps_order: bool) -> Vec<Setup> {
    let mut setups = Vec::new();
    for rules in [Rules::Releases, Rules::Deaths, Rules::Flag] {
        for (processes, performers) in [(1, 1), (1, 8), (3, 1), (3, 8)] {
            for deadly in [1, 2, 3, 5] {
                setups.push(Setup {
                    rules,
                    keeps_order,
                    processes,
                    performers,
                    deadly,
                    careful,
                });
            }
        }
    }
    setups
}

#[test]
fn no_innocent_message_is_dead_lettered_among_deadly_ones() {
    for setup in setups(true, false) {
        assert_eq!(innocents_among_the_dead(setup, 300), 0, "{setup:?}");
    }
}

#[test]
fn no_innocent_ordered_message_is_dead_lettered() {
    let ordered = |setup: &Setup| {
        let one = (setup.processes, setup.performers) == (1, 1);
        // A classic queue without copies does not count, and what is deadly comes forever.
        one && setup.rules != Rules::Flag
    };
    for setup in setups(true, true).into_iter().filter(ordered) {
        let innocents = innocents_among_the_dead(setup, 300);
        // Before RabbitMQ 4.3 all that goes back counts, once for each start.
        if setup.rules == Rules::Deaths || setup.deadly <= 3 {
            assert_eq!(innocents, 0, "{setup:?}");
        }
    }
}

#[test]
fn without_care_innocents_die_with_the_deadly() {
    let died = setups(false, false)
        .into_iter()
        .map(|setup| innocents_among_the_dead(setup, 10));
    assert!(died.sum::<usize>() > 0);
}
