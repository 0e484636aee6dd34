//! Proofs of signer-crypto that take minutes. Each ends with a line that says what was shown, and with an exit code of 1
//! where something was found.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a proof ends by panicking at what it finds"
)]

mod digests;
mod hashes;
mod random;
mod secrets;
mod statistics;
mod timing;

#[allow(dead_code, reason = "shared with the suites, which use all of it")]
#[path = "../../tests/suites/forms.rs"]
mod forms;
#[allow(dead_code, reason = "shared with the suites, which use all of it")]
#[path = "../../tests/suites/made.rs"]
mod made;
#[path = "../../tests/suites/openssl_sm2.rs"]
#[allow(unsafe_code, reason = "one foreign call to OpenSSL, justified where it is")]
mod openssl_sm2;
#[path = "../../tests/suites/oracles.rs"]
mod oracles;
#[path = "../../tests/suites/random_envelopes.rs"]
mod random_envelopes;
#[path = "../../tests/suites/random_signatures.rs"]
mod random_signatures;

use std::process::ExitCode;

use clap::Parser;

/// Proofs of signer-crypto that take minutes
#[derive(Debug, Parser)]
enum Proof {
    /// Random cases held against OpenSSL, RustCrypto and sm-crypto, valid and changed, singly and in batches
    Oracles(random::Options),
    /// Statistical test for operations whose time depends on a secret
    Timing(timing::Options),
    /// Operations on secrets marked as undefined, to be run under valgrind
    Secrets(secrets::Options),
}

fn main() -> ExitCode {
    let shown = match Proof::parse() {
        Proof::Oracles(options) => random::run(&options),
        Proof::Timing(options) => timing::run(&options),
        Proof::Secrets(options) => secrets::run(&options),
    };
    if shown { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
