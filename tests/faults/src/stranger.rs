//! A client that writes AMQP by hand, for what no library would write.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::frames::{Frame, Kind, Splitter};
use crate::wait::in_time;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
/// The flags of the properties that are there: headers, and the id.
const HEADERS: u16 = 1 << 13;
const MESSAGE_ID: u16 = 1 << 7;

/// How large a frame may be, all of it, by what is agreed on with the broker.
pub const FRAME_MAX: u32 = 128 * 1024;

/// A table with one value, in which tables and lists are nested: a list where a level says so, the outermost first.
#[must_use]
pub fn deep_headers(is_list: &[bool]) -> Vec<u8> {
    // From its end to its begin, for a length is known once all that it counts is there.
    let mut backwards = Vec::new();
    for (level, is_list_here) in is_list.iter().enumerate().rev() {
        backwards.extend(length(&backwards).to_le_bytes());
        backwards.push(if *is_list_here { b'A' } else { b'F' });
        if level == 0 {
            backwards.extend(b"peed\x04");
        } else if !is_list[level - 1] {
            // The length of its name, which is empty.
            backwards.push(0);
        }
    }
    backwards.extend(length(&backwards).to_le_bytes());
    backwards.reverse();
    backwards
}

/// How many levels fit a frame with an id of this length.
#[must_use]
pub fn deepest(id: &str, pattern: fn(usize) -> bool) -> usize {
    let room = FRAME_MAX as usize - 8 - 14 - 1 - id.len();
    let mut is_list = Vec::new();
    // A table has six bytes, and a list five.
    let mut bytes = deep_headers(&[pattern(0)]).len();
    while bytes <= room {
        let level = is_list.len();
        is_list.push(pattern(level));
        bytes += if pattern(level) { 5 } else { 6 };
    }
    while deep_headers(&is_list).len() > room {
        is_list.pop();
    }
    is_list.len()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("it fits a frame")
}

fn short(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    [&[length], text.as_bytes()].concat()
}

fn long(text: &[u8]) -> Vec<u8> {
    [&length(text).to_be_bytes(), text].concat()
}

/// A connection with a channel that confirms.
pub struct Stranger {
    stream: TcpStream,
    frames: Splitter,
    /// How many it has written.
    written: u64,
}

impl Stranger {
    /// Connects to the virtual host `/` of the broker at `host:port`.
    ///
    /// # Panics
    /// The broker does not let it in.
    pub async fn connect(address: &str, user: &str, password: &str) -> Self {
        let mut this = Self {
            stream: TcpStream::connect(address).await.expect("the broker listens"),
            frames: Splitter::default(),
            written: 0,
        };
        this.send(b"AMQP\0\0\x09\x01").await;
        this.expect(10, 10).await;
        let login = format!("\0{user}\0{password}");
        let properties = [
            &[0; 4][..],
            &short("PLAIN"),
            &long(login.as_bytes()),
            &short("en_US"),
        ]
        .concat();
        this.method(0, 10, 11, &properties).await;
        this.expect(10, 30).await;
        let tuned = [&[0, 16][..], &FRAME_MAX.to_be_bytes(), &[0, 0]].concat();
        this.method(0, 10, 31, &tuned).await;
        this.method(0, 10, 40, &[&short("/")[..], &[0, 0]].concat()).await;
        this.expect(10, 41).await;
        this.method(1, 20, 10, &[0]).await;
        this.expect(20, 11).await;
        this.method(1, 85, 10, &[0]).await;
        this.expect(85, 11).await;
        this
    }

    /// Writes a message to a queue, and waits until the broker has it. The headers are as they are on the wire.
    ///
    /// # Panics
    /// The broker does not take it.
    pub async fn write(&mut self, queue: &str, id: &str, headers: &[u8], body: &[u8]) {
        let publish = [&[0, 0][..], &short(""), &short(queue), &[0]].concat();
        self.method(1, 60, 40, &publish).await;
        let size = u64::from(length(body)).to_be_bytes();
        let flags = (HEADERS | MESSAGE_ID).to_be_bytes();
        let content = [&[0, 60, 0, 0][..], &size, &flags, headers, &short(id)].concat();
        self.frame(HEADER, 1, &content).await;
        self.frame(BODY, 1, body).await;
        self.written += 1;
        loop {
            let ack = self.expect(60, 80).await;
            let tag = ack.bytes[11..19].try_into().expect("eight bytes");
            if u64::from_be_bytes(tag) == self.written {
                return;
            }
        }
    }

    async fn method(&mut self, channel: u16, class: u16, method: u16, arguments: &[u8]) {
        let payload = [&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat();
        self.frame(METHOD, channel, &payload).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let [high, low] = channel.to_be_bytes();
        let start = [&[kind, high, low][..], &length(payload).to_be_bytes()].concat();
        self.send(&[&start, payload, &[0xce]].concat()).await;
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the broker reads");
    }

    /// Waits for a method; a sign of life may come before it.
    async fn expect(&mut self, class: u16, method: u16) -> Frame {
        in_time("an answer of the broker", async {
            loop {
                if let Some(frame) = self.frames.frame().expect("the broker writes frames") {
                    match frame.kind {
                        Kind::Heartbeat => continue,
                        Kind::Method(c, m) if (c, m) == (class, method) => return frame,
                        other => panic!(
                            "{other:?} instead of {class}.{method}: {}",
                            frame.bytes.escape_ascii()
                        ),
                    }
                }
                let mut piece = [0; 4096];
                let count = self.stream.read(&mut piece).await.expect("the broker answers");
                assert!(count > 0, "the broker hung up");
                self.frames.push(&piece[..count]);
            }
        })
        .await
    }

    /// Ends it politely.
    ///
    /// # Panics
    /// The broker does not answer.
    pub async fn close(mut self) {
        self.method(0, 10, 50, &[0, 200, 0, 0, 0, 0, 0]).await;
        self.expect(10, 51).await;
        tokio::time::timeout(Duration::from_secs(5), self.stream.shutdown())
            .await
            .map(drop)
            .unwrap_or_default();
    }
}
