//! The public face of the crate held against independent implementations, malformed input and its own laws.
#![cfg(test)]

mod built_certificates;
mod certificates;
mod field_keys;
mod forms;
mod fuzz_corpus;
mod laws;
mod made;
mod malformed_certificates;
mod malformed_envelopes;
mod malformed_keys;
mod malformed_private_keys;
mod malformed_signatures;
mod openssl_sm2;
mod oracles;
mod random_envelopes;
mod random_signatures;
mod rsa_envelopes;
mod tokens;
mod user_ids;
