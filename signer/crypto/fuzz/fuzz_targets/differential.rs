#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| signer_crypto_fuzz::bodies::differential(bytes));
