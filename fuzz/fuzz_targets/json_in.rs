#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (brighter_fuzz_targets::target("json_in").run)(bytes));
