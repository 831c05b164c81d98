//! AMQP 0-9-1 as it goes over the wire: as much of a frame as a fault has to know.

/// What a client says first. It is no frame.
pub const PROTOCOL_HEADER: usize = 8;
/// Type, channel, size.
const HEAD: usize = 7;
/// The octet that ends a frame.
const END: u8 = 0xCE;

/// A frame, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// The channel that it is for.
    pub channel: u16,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A method, by the numbers of its class and of itself.
    Method(u16, u16),
    /// The properties of a message.
    Header,
    /// A part of the body of a message.
    Body,
    /// A sign of life.
    Heartbeat,
    /// Something that is not in AMQP 0-9-1.
    Unknown(u8),
}

/// The methods that faults are done to.
impl Kind {
    /// `Connection.OpenOk`, by which a broker ends the greeting.
    pub const OPEN_OK: Self = Self::Method(10, 41);
    /// `Channel.CloseOk`: the channel is closed for both sides.
    pub const CHANNEL_CLOSE_OK: Self = Self::Method(20, 41);
    /// `Basic.Publish`, before its header and its body.
    pub const PUBLISH: Self = Self::Method(60, 40);
    /// `Basic.Return`, before its header and its body.
    pub const RETURN: Self = Self::Method(60, 50);
    /// `Basic.Ack`: of a client for a delivery, of a broker for a publish.
    pub const ACK: Self = Self::Method(60, 80);
    /// `Basic.Nack`.
    pub const NACK: Self = Self::Method(60, 120);
    /// `Basic.Reject`.
    pub const REJECT: Self = Self::Method(60, 90);
    /// `Basic.Qos`.
    pub const QOS: Self = Self::Method(60, 10);
    /// `Basic.Get`.
    pub const GET: Self = Self::Method(60, 70);
    /// `Basic.Consume`.
    pub const CONSUME: Self = Self::Method(60, 20);
    /// `Exchange.Declare`.
    pub const EXCHANGE_DECLARE: Self = Self::Method(40, 10);
    /// `Queue.Declare`.
    pub const QUEUE_DECLARE: Self = Self::Method(50, 10);
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub struct Splitter {
    bytes: Vec<u8>,
}

impl Splitter {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The protocol header, once all of it has come.
    pub fn protocol_header(&mut self) -> Option<Vec<u8>> {
        (self.bytes.len() >= PROTOCOL_HEADER).then(|| self.bytes.drain(..PROTOCOL_HEADER).collect())
    }

    /// The next frame, once all of it has come; an error if it does not end as a frame does.
    ///
    /// # Errors
    /// The bytes are no frames.
    pub fn frame(&mut self) -> Result<Option<Frame>, NoFrame> {
        let [kind, c1, c0, s3, s2, s1, s0, ..] = self.bytes[..] else {
            return Ok(None);
        };
        let size = u32::from_be_bytes([s3, s2, s1, s0]) as usize;
        let whole = HEAD + size + 1;
        if self.bytes.len() < whole {
            return Ok(None);
        }
        let bytes: Vec<u8> = self.bytes.drain(..whole).collect();
        if bytes.last() != Some(&END) {
            return Err(NoFrame);
        }
        let kind = match (kind, &bytes[HEAD..]) {
            (1, [a, b, c, d, ..]) => Kind::Method(u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])),
            (2, _) => Kind::Header,
            (3, _) => Kind::Body,
            (8, _) => Kind::Heartbeat,
            (other, _) => Kind::Unknown(other),
        };
        Ok(Some(Frame {
            kind,
            channel: u16::from_be_bytes([c1, c0]),
            bytes,
        }))
    }
}

/// What came is not AMQP 0-9-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoFrame;

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: &[u8] = b"\x01\x00\x02\x00\x00\x00\x0d\x00\x3c\x00\x50\0\0\0\0\0\0\0\x07\x00\xce";

    #[test]
    fn frames_are_found_however_the_bytes_come() {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        splitter.push(b"AMQP\0\0");
        assert_eq!(splitter.protocol_header(), None);
        splitter.push(b"\x09\x01");
        assert_eq!(
            splitter.protocol_header().as_deref(),
            Some(&b"AMQP\0\0\x09\x01"[..])
        );
        for byte in [ACK, b"\x08\0\0\0\0\0\0\xce"].concat() {
            splitter.push(&[byte]);
            found.extend(splitter.frame().unwrap());
        }
        let kinds: Vec<_> = found.iter().map(|frame| (frame.kind, frame.channel)).collect();
        assert_eq!(kinds, [(Kind::ACK, 2), (Kind::Heartbeat, 0)]);
        assert_eq!(found[0].bytes, ACK);
    }

    #[test]
    fn bytes_without_a_frame_end_are_no_frame() {
        let mut splitter = Splitter::default();
        splitter.push(b"\x08\0\0\0\0\0\0\xcf");
        assert_eq!(splitter.frame(), Err(NoFrame));
    }
}
