#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "one target, one function")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::content(data));
