//! However deep the tables are nested that a broker may send, lapin parses them without a deep stack.
//!
//! An input whose second byte is odd is a recipe for a frame that is nested up to 65,535 levels deep, so that small
//! inputs come to deep frames. `printf '\x10\x01\xff\xff\x55\x00' > corpus/nesting/deep` is a seed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| brighter_rabbitmq::__private::fuzz_nesting(bytes));
