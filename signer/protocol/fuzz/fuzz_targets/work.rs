#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| signer_protocol_fuzz::bodies::work(bytes));
