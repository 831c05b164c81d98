//! [`NestingLimit`]: a bound for tables and lists within one another, which holds before the client parses them.
//!
//! lapin parses a table within a table by recursion. A foreign message of some kilobytes, nested a thousand levels
//! deep, would overflow the stack of its thread: the process would abort, and again whenever the message comes back.
//! So the bytes of the socket pass through here first. A table or list that is nested too deep has its type changed to
//! that of a byte array, which has the same shape: a length of four bytes, and as many bytes. Nothing moves, nothing is
//! held back, and lapin takes what is in it for bytes.

/// How many levels of tables and lists a header may have. [`message`](super::message) refuses what has more.
///
/// A level takes lapin up to 10 kB of its thread's 2 MiB of stack in a debug build.
pub(super) const MAX_LEVELS: usize = 32;

/// How many levels pass. It is one more than a message may have, so that a message that has more still shows it.
pub(super) const LEVELS_THAT_PASS: usize = MAX_LEVELS + 1;

/// A level has five bytes at least: its type and its length.
const LEVEL_BYTES: usize = 5;

const FRAME_START_BYTES: u8 = 7;
const FRAME_END_BYTES: u64 = 1;
const METHOD_FRAME: u64 = 1;
const HEADER_FRAME: u64 = 2;
/// The first byte of `AMQP` and a version: a server that speaks another version says so, and not by a frame.
const PROTOCOL_HEADER: u64 = b'A' as u64;

/// What stands in the payload of a content header frame before the flags: class, weight, size of the body.
const BEFORE_FLAGS: u64 = 2 + 2 + 8;
/// The flags of the properties that stand before the headers, and of the headers.
const CONTENT_TYPE: u64 = 1 << 15;
const CONTENT_ENCODING: u64 = 1 << 14;
const HEADERS: u64 = 1 << 13;

/// Follows the frames of a connection as their bytes pass, and bounds how deep the tables in them are nested.
///
/// It reads them as lapin does, from left to right, and stops at the first thing that makes no sense, where lapin gives
/// up too. So lapin never gets deeper than it does, whatever comes.
#[derive(Debug)]
pub(crate) struct NestingLimit {
    levels: usize,
    state: State,
    /// How many bytes to pass over before the next number.
    skip: u64,
    /// How many bytes of a number are still to come, and those that have come.
    wanted: u8,
    number: u64,
    /// How many bytes of the frame are behind those that are passed over or wanted.
    left: u64,
    /// The tables and lists that are open, the outermost first.
    open: Vec<Container>,
}

/// What the number means that is being read.
#[derive(Debug, Clone, Copy)]
enum State {
    FrameStart,
    MethodId,
    Flags,
    /// The length of a short text, of so many that stand before the table; then as many other bytes.
    TextBefore {
        texts: u8,
        then: u8,
    },
    /// The length of the table that a method or a content header has.
    OutermostLength,
    KeyLength,
    Type,
    /// The length of a value that is not looked into.
    Length,
    /// The length of a table or list within another.
    InnerLength {
        is_list: bool,
    },
}

#[derive(Debug, Clone, Copy)]
struct Container {
    is_list: bool,
    /// What is left of the frame behind it.
    end: u64,
}

/// What stands before the table in the arguments of a method: bytes, short texts, bytes.
struct Arguments {
    class: u16,
    method: u16,
    before: u8,
    texts: u8,
    then: u8,
}

/// Every method with a table. Of these a server sends the first alone; lapin would parse the others too.
static WITH_TABLE: [Arguments; 9] = [
    arguments(10, 10, 2, 0, 0), // connection.start
    arguments(10, 11, 0, 0, 0), // connection.start-ok
    arguments(40, 10, 2, 2, 1), // exchange.declare
    arguments(40, 30, 2, 3, 1), // exchange.bind
    arguments(40, 40, 2, 3, 1), // exchange.unbind
    arguments(50, 10, 2, 1, 1), // queue.declare
    arguments(50, 20, 2, 3, 1), // queue.bind
    arguments(50, 50, 2, 3, 0), // queue.unbind
    arguments(60, 20, 2, 2, 1), // basic.consume
];

const fn arguments(class: u16, method: u16, before: u8, texts: u8, then: u8) -> Arguments {
    Arguments {
        class,
        method,
        before,
        texts,
        then,
    }
}

impl Default for NestingLimit {
    fn default() -> Self {
        Self::of(LEVELS_THAT_PASS)
    }
}

impl NestingLimit {
    /// Lets so many levels pass.
    pub(super) fn of(levels: usize) -> Self {
        Self {
            levels,
            state: State::FrameStart,
            skip: 0,
            wanted: FRAME_START_BYTES,
            number: 0,
            left: 0,
            open: Vec::new(),
        }
    }

    /// Applies the limit to the bytes that have come next.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            if self.skip > 0 {
                let here = bytes.len() - at;
                // What does not fit a `usize` is more than is here.
                let passed = usize::try_from(self.skip).map_or(here, |skip| skip.min(here));
                at += passed;
                self.skip -= passed as u64;
                continue;
            }
            self.number = (self.number << 8) | u64::from(bytes[at]);
            self.wanted -= 1;
            if self.wanted == 0 {
                let number = std::mem::take(&mut self.number);
                if let Some(replacement) = self.read(number) {
                    bytes[at] = replacement;
                }
            }
            at += 1;
        }
    }

    /// Goes on behind a number, and returns what is to stand in place of its last byte, if anything.
    fn read(&mut self, number: u64) -> Option<u8> {
        match self.state {
            State::FrameStart => self.frame(number >> 48, number & 0xffff_ffff),
            State::MethodId => {
                let found = WITH_TABLE
                    .iter()
                    .find(|known| (u64::from(known.class) << 16) | u64::from(known.method) == number);
                match found {
                    Some(with) => self.pass(with.before.into(), |this| {
                        this.before_table(with.texts, with.then)
                    }),
                    None => self.end_frame(),
                }
            }
            State::Flags if number & HEADERS == 0 => self.end_frame(),
            State::Flags => {
                let texts = [CONTENT_TYPE, CONTENT_ENCODING].map(|flag| u8::from(number & flag != 0));
                self.before_table(texts[0] + texts[1], 0);
            }
            State::TextBefore { texts, then } => {
                self.pass(number, |this| this.before_table(texts.saturating_sub(1), then));
            }
            State::OutermostLength => self.enter(false, number),
            State::KeyLength => self.pass(number, |this| this.want(1, State::Type)),
            State::Type => return self.value(number),
            State::Length => self.pass(number, Self::next),
            State::InnerLength { is_list } => self.enter(is_list, number),
        }
        None
    }

    /// Begins a frame, and looks into it if it can be nested too deep at all.
    fn frame(&mut self, kind: u64, size: u64) {
        self.left = size + FRAME_END_BYTES;
        self.open.clear();
        let is_shallow = size < ((self.levels + 1) * LEVEL_BYTES) as u64;
        match kind {
            PROTOCOL_HEADER => {
                // It has eight bytes, one more than the start of a frame.
                self.left = 1;
                self.end_frame();
            }
            METHOD_FRAME if !is_shallow => self.want(4, State::MethodId),
            HEADER_FRAME if !is_shallow => self.pass(BEFORE_FLAGS, |this| this.want(2, State::Flags)),
            _ => self.end_frame(),
        }
    }

    /// Goes on with the short texts before the table, and then with the table.
    fn before_table(&mut self, texts: u8, then: u8) {
        if texts > 0 {
            self.want(1, State::TextBefore { texts, then });
        } else {
            self.pass(then.into(), |this| this.want(4, State::OutermostLength));
        }
    }

    /// Goes on behind the type of a value.
    fn value(&mut self, kind: u64) -> Option<u8> {
        // Of lapin, which reads a `s` as a number, as RabbitMQ does.
        let fixed = match u8::try_from(kind).unwrap_or_default() {
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'U' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'L' | b'l' | b'd' | b'T' => 8,
            b'S' | b'x' => {
                self.want(4, State::Length);
                return None;
            }
            nested @ (b'F' | b'A') => {
                // The outermost table is no level.
                if self.open.len() > self.levels {
                    self.want(4, State::Length);
                    return Some(b'x');
                }
                self.want(
                    4,
                    State::InnerLength {
                        is_list: nested == b'A',
                    },
                );
                return None;
            }
            _ => {
                self.end_frame();
                return None;
            }
        };
        self.pass(fixed, Self::next);
        None
    }

    /// Enters a table or list of this length.
    fn enter(&mut self, is_list: bool, length: u64) {
        if length > self.room() {
            return self.end_frame();
        }
        self.open.push(Container {
            is_list,
            end: self.left - length,
        });
        self.next();
    }

    /// Goes on behind a value: with the next of the innermost table or list that has one.
    fn next(&mut self) {
        while let Some(innermost) = self.open.last() {
            if innermost.end < self.left {
                let state = if innermost.is_list {
                    State::Type
                } else {
                    State::KeyLength
                };
                return self.want(1, state);
            }
            self.open.pop();
        }
        self.end_frame();
    }

    /// Passes over so many bytes, then goes on; or gives the frame up where there are not as many.
    fn pass(&mut self, bytes: u64, then: impl FnOnce(&mut Self)) {
        if bytes > self.room() {
            return self.end_frame();
        }
        self.skip += bytes;
        self.left -= bytes;
        then(self);
    }

    /// Reads a number of so many bytes next; or gives the frame up where there are not as many.
    fn want(&mut self, bytes: u8, state: State) {
        if u64::from(bytes) > self.room() {
            return self.end_frame();
        }
        self.wanted = bytes;
        self.left -= u64::from(bytes);
        self.state = state;
    }

    /// Passes over what is left of the frame.
    fn end_frame(&mut self) {
        self.skip += self.left;
        self.left = 0;
        self.wanted = FRAME_START_BYTES;
        self.state = State::FrameStart;
    }

    /// How many bytes are left of what is open.
    fn room(&self) -> u64 {
        let end = self
            .open
            .last()
            .map_or(FRAME_END_BYTES, |innermost| innermost.end);
        self.left.saturating_sub(end)
    }
}
