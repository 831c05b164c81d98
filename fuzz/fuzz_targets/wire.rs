//! Whatever a broker may send is read or refused, and every copy of what is read can be read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| brighter_rabbitmq::__private::fuzz_wire(bytes));
