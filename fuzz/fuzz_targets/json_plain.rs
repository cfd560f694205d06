#![no_main]

use alluvium::decode::json::Layout;

libfuzzer_sys::fuzz_target!(|input: &[u8]| alluvium_fuzz::records(Layout::Plain, input));
