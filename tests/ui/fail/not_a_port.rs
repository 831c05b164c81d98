//! What is not a broker, an outbox or an inbox is said with what to write.

use brighter::CommandProcessor;
use brighter::mapper::MessageMapper;

struct Something;

fn maps<M: MessageMapper<u32>>() {}

fn main() {
    CommandProcessor::builder().broker(Something);
    CommandProcessor::builder().outbox(Something);
    CommandProcessor::builder().inbox(Something);
    maps::<Something>();
}
