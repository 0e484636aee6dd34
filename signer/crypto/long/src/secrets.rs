//! Secrets traced through the scalar path: under valgrind's memcheck a secret is marked as undefined, and every branch
//! or address that depends on it is reported, with its place. A proof over the instructions that ran, where a timing
//! test has only samples. Valgrind knows no AVX-512, so it is the scalar path that runs.
//!
//! Verdicts may be public, and nothing else: `secrets.supp` names every place that decides one, and why.
#![allow(
    unsafe_code,
    reason = "client requests to valgrind are five instructions that do nothing elsewhere"
)]

use std::arch::asm;

use clap::Args;
use signer_crypto::inside::{PrivateKey, TableSize};

#[derive(Debug, Args)]
pub(crate) struct Options {}

/// Of valgrind.h and memcheck.h.
const RUNNING_ON_VALGRIND: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
const MAKE_MEM_UNDEFINED: usize = 0x4D43_0001;
const MAKE_MEM_DEFINED: usize = 0x4D43_0002;

/// Asks valgrind; 0 when the program does not run under it.
fn request(code: usize, address: usize, len: usize) -> usize {
    let arguments = [code, address, len, 0, 0, 0];
    let answer;
    // SAFETY: rotations of rdi by 128 bits in all and an exchange of rbx with itself, which change nothing; under
    // valgrind the sequence reads `arguments`, which live here, and writes rdx.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") 0usize => answer,
        );
    }
    answer
}

fn make_secret(bytes: &mut [u8]) {
    request(MAKE_MEM_UNDEFINED, bytes.as_ptr().addr(), bytes.len());
}

/// What leaves the operation is no secret any more.
fn make_public(bytes: &[u8]) {
    request(MAKE_MEM_DEFINED, bytes.as_ptr().addr(), bytes.len());
}

fn errors() -> usize {
    request(COUNT_ERRORS, 0, 0)
}

/// Runs `operation` and says how often a branch or an address in it depended on a secret.
fn traced(name: &str, operation: impl FnOnce()) -> usize {
    let before = errors();
    operation();
    let found = errors() - before;
    println!("secrets: {name}: {found} times");
    found
}

/// A branch on a bit and an address from a byte, which have to be reported.
fn control() {
    let mut secret = [0x5Au8; 32];
    make_secret(&mut secret);
    let table = [1u8; 256];
    let mut sum = 0u32;
    for byte in secret {
        if std::hint::black_box(byte) & 1 == 1 {
            sum += 1;
        }
        sum += u32::from(std::hint::black_box(&table)[usize::from(byte)]);
    }
    make_public(&sum.to_ne_bytes());
    std::hint::black_box(sum);
}

pub(crate) fn run(_: &Options) -> bool {
    if request(RUNNING_ON_VALGRIND, 0, 0) == 0 {
        println!("secrets: not running under valgrind");
        return false;
    }
    let mut scalar = [0x35; 32];
    let public = PrivateKey::from_bytes(&scalar).unwrap().public(TableSize::Small);
    let text = b"nineteen bytes here";
    let ciphertext = public.encrypt(text);
    let control = traced("the control", control);
    make_secret(&mut scalar);
    let mut key = None;
    let mut found = traced("a private key taken into use", || key = PrivateKey::from_bytes(&scalar));
    let key = key.unwrap();
    let mut signatures = [[0; 64]; 4];
    found += traced("signing", || {
        for (turn, signature) in (0..).zip(&mut signatures) {
            *signature = key.sign_digest(&[turn; 32]);
        }
    });
    make_public(signatures.as_flattened());
    let mut plaintext = vec![];
    found += traced("decryption", || {
        plaintext = key.decrypt(&ciphertext, text.len()).unwrap()
    });
    make_public(&plaintext);
    // that all of it was done at all
    let held = (0..)
        .zip(&signatures)
        .all(|(turn, signature)| public.verify_digest(&[turn; 32], signature));
    println!("secrets: {found} branches or addresses depend on a secret, the control has {control}");
    found == 0 && control > 0 && held && plaintext == text
}
