//! [`AckWindow`]: decides which acknowledgements may be written as one. It does no I/O.
//!
//! The deliveries of an AMQP channel are numbered, and one acknowledgement may settle all up to a number. So many
//! messages cost one frame. The number must be lower than the first delivery that is still being handled: otherwise
//! that delivery would be settled unhandled, and lost if its handler died. Deliveries beyond it that are done wait for
//! it briefly, and are then acknowledged one by one.

use std::collections::VecDeque;

/// An acknowledgement to write: for this delivery, or also for all unsettled ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) tag: u64,
    pub(super) multiple: bool,
}

/// When an acknowledgement must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AckDue {
    /// At once: the broker may soon have nothing left to deliver, or no other acknowledgement is likely to follow soon.
    Now,
    /// Soon. It is the first that waits, so a timer must be started.
    Soon,
    /// Together with the others that wait already.
    WithOthers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AckState {
    /// With its consumer, and not settled.
    Out,
    /// Done, and the acknowledgement is not written.
    Done,
    /// Done since before the last write.
    Late,
    /// The acknowledgement is written.
    Settled,
}

#[derive(Debug, Clone, Copy)]
struct AckEntry {
    tag: u64,
    state: AckState,
}

/// The deliveries of one AMQP channel whose acknowledgements are not written.
#[derive(Debug)]
pub(super) struct AckWindow {
    /// The deliveries in the order of their numbers, from the first that is not done.
    entries: VecDeque<AckEntry>,
    /// The number of settled entries: they are kept until removing them pays off.
    settled: usize,
    /// The number of done entries.
    beyond: usize,
    /// The last done delivery before the first that is not done, and the number of done ones up to it.
    covered: Option<(u64, usize)>,
    /// The number of waiting acknowledgements at which they are written at once.
    most: usize,
}

/// A larger number per acknowledgement gains nothing, and all are delivered again if it is lost.
const MOST: u16 = 64;

impl AckWindow {
    /// Returns a window for a channel with up to `buffer` unsettled deliveries.
    pub(super) fn new(buffer: u16) -> Self {
        Self {
            entries: VecDeque::new(),
            settled: 0,
            beyond: 0,
            covered: None,
            // From half the buffer on, the broker may run out of deliveries that it may send.
            most: usize::from((buffer / 2).clamp(1, MOST)),
        }
    }

    /// Adds a delivery. Its number is higher than those before.
    pub(super) fn track(&mut self, tag: u64) {
        let state = AckState::Out;
        self.entries.push_back(AckEntry { tag, state });
    }

    /// Marks a delivery as done. `quiet` returns whether nothing was written for a while. If so, a single done delivery
    /// does not wait: others are too rare to be worth a timer.
    pub(super) fn done(&mut self, tag: u64, quiet: impl FnOnce() -> bool) -> AckDue {
        let Some(index) = self.position(tag) else {
            return AckDue::WithOthers;
        };
        self.entries[index].state = AckState::Done;
        self.beyond += 1;
        self.advance();
        match self.waiting() {
            waiting if waiting >= self.most => AckDue::Now,
            1 if self.covered.is_some() && quiet() => AckDue::Now,
            1 => AckDue::Soon,
            _ => AckDue::WithOthers,
        }
    }

    /// Removes a delivery that is returned to its queue. The broker must be told at once, before any acknowledgement of
    /// a later delivery, which would settle this one.
    pub(super) fn given_back(&mut self, tag: u64) {
        if let Some(index) = self.position(tag) {
            self.entries[index].state = AckState::Settled;
            self.settled += 1;
            self.advance();
        }
    }

    /// Returns whether any delivery is not done.
    pub(super) fn has_unsettled(&self) -> bool {
        // The first entry is never done.
        !self.entries.is_empty()
    }

    /// Returns the number of done deliveries whose acknowledgements are not written.
    pub(super) fn waiting(&self) -> usize {
        self.beyond + self.covered.map_or(0, |(_, count)| count)
    }

    /// Writes the acknowledgements that are due. Done deliveries behind one that is not done are left for the next
    /// time, because it may be done by then. They are written if they have been left before or are too many.
    /// [`waiting`](Self::waiting) returns how many are left.
    pub(super) fn write(&mut self, write: impl FnMut(Ack)) {
        let all = self.beyond >= self.most;
        self.write_these(all, write);
    }

    /// Writes the acknowledgements of all done deliveries.
    pub(super) fn write_all(&mut self, write: impl FnMut(Ack)) {
        self.write_these(true, write);
    }

    fn write_these(&mut self, all: bool, mut write: impl FnMut(Ack)) {
        if let Some((tag, count)) = self.covered.take() {
            let multiple = count > 1;
            write(Ack { tag, multiple });
        }
        if self.beyond == 0 {
            return;
        }
        for entry in &mut self.entries {
            match entry.state {
                AckState::Done if !all => entry.state = AckState::Late,
                AckState::Done | AckState::Late => {
                    entry.state = AckState::Settled;
                    self.beyond -= 1;
                    self.settled += 1;
                    write(Ack {
                        tag: entry.tag,
                        multiple: false,
                    });
                }
                AckState::Out | AckState::Settled => {}
            }
        }
        self.sweep();
    }

    /// Removes the done and settled entries before the first that is not done.
    fn advance(&mut self) {
        while let Some(first) = self.entries.front() {
            match first.state {
                AckState::Out => break,
                AckState::Settled => self.settled -= 1,
                AckState::Done | AckState::Late => {
                    self.beyond -= 1;
                    let count = self.covered.map_or(0, |(_, count)| count);
                    self.covered = Some((first.tag, count + 1));
                }
            }
            self.entries.pop_front();
        }
        self.sweep();
    }

    /// Removes settled entries, so that one slow delivery does not keep all later ones in memory.
    fn sweep(&mut self) {
        if self.settled > 32 && self.settled * 2 > self.entries.len() {
            self.entries.retain(|entry| entry.state != AckState::Settled);
            self.settled = 0;
        }
    }

    /// Returns the position of a delivery that is not done. Without gaps it follows from the number.
    fn position(&self, tag: u64) -> Option<usize> {
        let first = self.entries.front()?.tag;
        let guess = usize::try_from(tag.checked_sub(first)?).ok()?;
        let is_it = |index: &usize| self.entries.get(*index).is_some_and(|entry| entry.tag == tag);
        let index = Some(guess)
            .filter(is_it)
            .or_else(|| self.entries.binary_search_by_key(&tag, |entry| entry.tag).ok())?;
        (self.entries[index].state == AckState::Out).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn written(window: &mut AckWindow) -> Vec<(u64, bool)> {
        let mut acks = Vec::new();
        window.write(|ack| acks.push((ack.tag, ack.multiple)));
        acks
    }

    fn busy() -> bool {
        false
    }

    fn quiet() -> bool {
        true
    }

    fn window(buffer: u16, track: u64) -> AckWindow {
        let mut window = AckWindow::new(buffer);
        (1..=track).for_each(|tag| window.track(tag));
        window
    }

    #[test]
    fn acks_in_order_are_written_as_one() {
        let mut window = window(200, 5);
        assert_eq!(window.done(1, busy), AckDue::Soon);
        assert_eq!(window.done(2, busy), AckDue::WithOthers);
        assert_eq!(written(&mut window), [(2, true)]);
        assert_eq!(window.done(3, busy), AckDue::Soon);
        assert_eq!(written(&mut window), [(3, false)]);
        assert_eq!(written(&mut window), []);
    }

    #[test]
    fn one_that_comes_alone_is_written_at_once() {
        let mut window = window(200, 3);
        assert_eq!(window.done(1, quiet), AckDue::Now);
        assert_eq!(written(&mut window), [(1, false)]);
        // Behind a delivery that is not done, it waits as before.
        assert_eq!(window.done(3, quiet), AckDue::Soon);
        assert_eq!(window.done(2, quiet), AckDue::WithOthers);
        assert_eq!(written(&mut window), [(3, true)]);
    }

    /// B03: the 50th delivery is done, and 1 to 49 are not.
    #[test]
    fn an_ack_never_passes_one_that_is_not_done() {
        let mut window = window(200, 50);
        window.done(50, busy);
        window.done(48, busy);
        // Left for one round, because the others may be done by then.
        assert_eq!(written(&mut window), []);
        assert_eq!(window.waiting(), 2);
        assert_eq!(written(&mut window), [(48, false), (50, false)]);
        for tag in (1..=47).chain([49]) {
            window.done(tag, busy);
        }
        assert_eq!(written(&mut window), [(49, true)]);
    }

    #[test]
    fn acks_skip_returned_deliveries() {
        let mut window = window(200, 3);
        window.done(1, busy);
        window.given_back(2);
        window.done(3, busy);
        assert_eq!(written(&mut window), [(3, true)]);
    }

    #[test]
    fn half_the_buffer_is_written_at_once() {
        let mut one = window(1, 1);
        assert_eq!(one.done(1, busy), AckDue::Now);
        let mut ten = window(10, 10);
        let due: Vec<_> = (6..=10).map(|tag| ten.done(tag, busy)).collect();
        assert_eq!(due[4], AckDue::Now);
        // Written although the first is not done: there are too many to wait for it.
        assert_eq!(written(&mut ten).len(), 5);
    }

    #[test]
    fn one_that_takes_for_ever_is_all_that_is_remembered() {
        let mut window = window(10, 1);
        for tag in 2..10_000 {
            window.track(tag);
            window.done(tag, busy);
            written(&mut window);
        }
        assert!(window.entries.len() < 200, "{}", window.entries.len());
        window.done(1, busy);
        window.write_all(|_| {});
        assert_eq!(window.waiting(), 0);
    }

    /// The broker's view of the channel.
    #[derive(Default)]
    struct Model {
        unsettled: BTreeMap<u64, bool>,
        given_back: usize,
        acked: usize,
    }

    impl Model {
        fn take(&mut self, ack: Ack) {
            // The broker closes the channel for a number that is unknown or settled already.
            assert!(self.unsettled.contains_key(&ack.tag), "{ack:?} is unknown");
            let settled: Vec<_> = match ack.multiple {
                true => self.unsettled.range(..=ack.tag).map(|(tag, _)| *tag).collect(),
                false => vec![ack.tag],
            };
            for tag in settled {
                let done = self.unsettled.remove(&tag).unwrap();
                assert!(done, "{tag} is not done, and settled by {ack:?}");
                self.acked += 1;
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Deliver,
        Done(prop::sample::Index),
        GiveBack(prop::sample::Index),
        Write,
        WriteAll,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Deliver),
            4 => any::<prop::sample::Index>().prop_map(Step::Done),
            1 => any::<prop::sample::Index>().prop_map(Step::GiveBack),
            2 => Just(Step::Write),
            1 => Just(Step::WriteAll),
        ];
        prop::collection::vec(step, 0..400)
    }

    proptest! {
        /// Only done deliveries are acknowledged, and each exactly once.
        #[test]
        fn each_finished_delivery_is_acked_exactly_once(buffer in 1..100_u16, steps in steps()) {
            let mut window = AckWindow::new(buffer);
            let mut model = Model::default();
            let (mut next, mut on_loan, mut done) = (1, Vec::new(), 0);
            for step in steps {
                match step {
                    Step::Deliver => {
                        window.track(next);
                        model.unsettled.insert(next, false);
                        on_loan.push(next);
                        next += 1;
                    }
                    Step::Done(which) if !on_loan.is_empty() => {
                        let tag = on_loan.swap_remove(which.index(on_loan.len()));
                        model.unsettled.insert(tag, true);
                        done += 1;
                        if window.done(tag, busy) == AckDue::Now {
                            window.write(|ack| model.take(ack));
                        }
                    }
                    Step::GiveBack(which) if !on_loan.is_empty() => {
                        let tag = on_loan.swap_remove(which.index(on_loan.len()));
                        model.unsettled.remove(&tag);
                        model.given_back += 1;
                        window.given_back(tag);
                    }
                    Step::Done(_) | Step::GiveBack(_) => {}
                    Step::Write => window.write(|ack| model.take(ack)),
                    Step::WriteAll => window.write_all(|ack| model.take(ack)),
                }
                prop_assert_eq!(window.waiting(), done - model.acked);
                prop_assert_eq!(window.settled, in_state(&window, AckState::Settled));
            }
            // Two writes suffice, even if some deliveries are not done.
            window.write(|ack| model.take(ack));
            window.write(|ack| model.take(ack));
            prop_assert_eq!(window.waiting(), 0);
            prop_assert_eq!(model.acked, done);
            prop_assert_eq!(model.unsettled.into_keys().collect::<Vec<_>>(), {
                on_loan.sort_unstable();
                on_loan
            });
            let known = model.acked + model.given_back + in_state(&window, AckState::Out);
            prop_assert_eq!(next - 1, known as u64);
        }
    }

    fn in_state(window: &AckWindow, state: AckState) -> usize {
        window.entries.iter().filter(|entry| entry.state == state).count()
    }
}
