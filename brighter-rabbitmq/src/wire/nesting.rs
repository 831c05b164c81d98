//! [`NestingLimit`]: limits the nesting of tables and lists, before the client library parses them.
//!
//! lapin parses nested tables by recursion. A foreign message of a few kilobytes, nested a thousand levels deep, would
//! overflow the stack of its thread. The process would abort, and again at each redelivery. So the bytes of the socket
//! pass through this limit first. It changes the type of a table or list that is nested too deep to that of a byte
//! array, which has the same layout: a length of four bytes, and as many bytes. No byte is moved or delayed, and lapin
//! reads the content as bytes.

/// The largest number of levels of tables and lists in a header. [`message`](super::message) refuses more.
///
/// For each level lapin uses up to 10 kB of its thread's 2 MiB of stack in a debug build.
pub(super) const MAX_LEVELS: usize = 32;

/// The number of levels that pass. It is one more than a message may have, so that a message with more is still
/// recognised.
pub(super) const LEVELS_THAT_PASS: usize = MAX_LEVELS + 1;

/// The smallest size of a level, in bytes: its type and its length.
const LEVEL_BYTES: usize = 5;

const FRAME_START_BYTES: u8 = 7;
const FRAME_END_BYTES: u64 = 1;
const METHOD_FRAME: u64 = 1;
const HEADER_FRAME: u64 = 2;
/// The first byte of `AMQP` and a version: a server of another version answers with it in place of a frame.
const PROTOCOL_HEADER: u64 = b'A' as u64;

/// The bytes before the flags in the payload of a content header frame: class, weight, size of the body.
const BEFORE_FLAGS: u64 = 2 + 2 + 8;
/// The flags of the properties before the headers, and of the headers.
const CONTENT_TYPE: u64 = 1 << 15;
const CONTENT_ENCODING: u64 = 1 << 14;
const HEADERS: u64 = 1 << 13;

/// Follows the frames of a connection byte by byte, and limits how deep their tables are nested.
///
/// It parses the bytes as lapin does, from left to right, and stops at the first invalid one, where lapin stops too. So
/// lapin never gets deeper than this parser.
#[derive(Debug)]
pub(crate) struct NestingLimit {
    levels: usize,
    state: State,
    /// The number of bytes to skip before the next number.
    skip: u64,
    /// The number of bytes of a number that are still missing, and those that have arrived.
    wanted: u8,
    number: u64,
    /// The number of bytes of the frame after those that are skipped or missing.
    left: u64,
    /// The tables and lists that are open, the outermost first.
    open: Vec<Container>,
}

/// The meaning of the number that is being read.
#[derive(Debug, Clone, Copy)]
enum State {
    FrameStart,
    MethodId,
    Flags,
    /// The length of a short text, one of `texts` before the table; then `then` other bytes follow.
    TextBefore {
        texts: u8,
        then: u8,
    },
    /// The length of the table of a method or a content header.
    OutermostLength,
    KeyLength,
    Type,
    /// The length of a value whose content is skipped.
    Length,
    /// The length of a nested table or list.
    InnerLength {
        is_list: bool,
    },
}

#[derive(Debug, Clone, Copy)]
struct Container {
    is_list: bool,
    /// The rest of the frame after the container.
    end: u64,
}

/// The arguments of a method before its table: bytes, short texts, bytes.
struct MethodArguments {
    class: u16,
    method: u16,
    before: u8,
    texts: u8,
    then: u8,
}

/// Every method with a table. A server sends only the first; lapin would parse the others too.
static WITH_TABLE: [MethodArguments; 9] = [
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

const fn arguments(class: u16, method: u16, before: u8, texts: u8, then: u8) -> MethodArguments {
    MethodArguments {
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
    /// Returns a limit of this many levels.
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

    /// Applies the limit to the next bytes of the stream.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            if self.skip > 0 {
                let here = bytes.len() - at;
                // A number that exceeds `usize` is more than there is here.
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

    /// Continues after a number, and returns the replacement of its last byte, if there is one.
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

    /// Continues with the short texts before the table, and then with the table.
    fn before_table(&mut self, texts: u8, then: u8) {
        if texts > 0 {
            self.want(1, State::TextBefore { texts, then });
        } else {
            self.pass(then.into(), |this| this.want(4, State::OutermostLength));
        }
    }

    /// Continues after the type of a value.
    fn value(&mut self, kind: u64) -> Option<u8> {
        // The sizes that lapin uses. It reads an `s` as a number, as RabbitMQ does.
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
                // The outermost table does not count as a level.
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

    /// Continues after a value, with the next value of the innermost table or list that has one.
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

    /// Skips this many bytes, then continues; gives the frame up if there are fewer.
    fn pass(&mut self, bytes: u64, then: impl FnOnce(&mut Self)) {
        if bytes > self.room() {
            return self.end_frame();
        }
        self.skip += bytes;
        self.left -= bytes;
        then(self);
    }

    /// Reads a number of this many bytes next; gives the frame up if there are fewer.
    fn want(&mut self, bytes: u8, state: State) {
        if u64::from(bytes) > self.room() {
            return self.end_frame();
        }
        self.wanted = bytes;
        self.left -= u64::from(bytes);
        self.state = state;
    }

    /// Skips the rest of the frame.
    fn end_frame(&mut self) {
        self.skip += self.left;
        self.left = 0;
        self.wanted = FRAME_START_BYTES;
        self.state = State::FrameStart;
    }

    /// Returns the number of bytes left in the innermost container.
    fn room(&self) -> u64 {
        let end = self
            .open
            .last()
            .map_or(FRAME_END_BYTES, |innermost| innermost.end);
        self.left.saturating_sub(end)
    }
}
