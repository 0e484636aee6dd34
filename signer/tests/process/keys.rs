//! Key files that are refused at start, and readiness.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use operations::stop::Stop;
use signer::{Config, Process};

use crate::making::write_secret;
use crate::running::{Keys, Written, ask};

/// Starts with the files as `change` leaves them; what is said, with causes.
#[track_caller]
fn check(written: &Written, change: impl FnOnce(&Path), expected: &str) {
    change(written.directory.path());
    let config = Config::load(&written.config).unwrap();
    let said = Process::new(&config).map_or_else(|fault| chain(&fault), |_| "started".to_owned());
    assert!(said.contains(expected), "{said}");
}

fn chain(fault: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(fault), |fault| fault.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn secrets_that_others_may_read_are_refused() {
    let written = Written::new("");
    check(&written, |_| (), "started");
    for name in ["4000000111.key.pem", "passphrase", "token-key"] {
        for mode in [0o640, 0o604, 0o660, 0o644, 0o601] {
            let expected = format!("{name} holds a secret and may be read by others (mode {mode:04o})");
            check(&written, |directory| set_mode(&directory.join(name), mode), &expected);
        }
        check(&written, |directory| set_mode(&directory.join(name), 0o400), "started");
    }
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let fresh = || Written::new("");
    check(
        &fresh(),
        |d| fs::remove_file(d.join("token-key")).unwrap(),
        "token-key cannot be read: ",
    );
    check(
        &fresh(),
        |d| write_secret(&d.join("token-key"), b"0102"),
        "is not a token key",
    );
    check(
        &fresh(),
        |d| write_secret(&d.join("passphrase"), b"another"),
        "does not open with this passphrase",
    );
    check(
        &fresh(),
        |d| fs::write(d.join("4000000101.cert.pem"), b"").unwrap(),
        "not a certificate in PEM",
    );
    check(
        &fresh(),
        |d| write_secret(&d.join("4000000111.key.pem"), b""),
        "not an encrypted PKCS#8 file",
    );
    check(
        &fresh(),
        |d| write_secret(&d.join("4000000111.key.pem"), &vec![b'x'; 65_537]),
        "is larger than 65536 bytes",
    );
    let exchange = |directory: &Path| {
        fs::copy(
            directory.join("4000000113.key.pem"),
            directory.join("4000000111.key.pem"),
        )
        .unwrap();
    };
    check(&fresh(), exchange, "4000000111.key.pem is not the one of certificate");
    let repeat = |directory: &Path| {
        fs::copy(
            directory.join("4000000101.cert.pem"),
            directory.join("4000000102.cert.pem"),
        )
        .unwrap();
    };
    check(&fresh(), repeat, "serial 4000000101 is already taken");
}

#[tokio::test]
async fn not_ready_without_a_current_key() {
    let written = Written::new("");
    Keys::of_all_tests()
        .network_expired
        .write(written.directory.path(), "4000000111");
    let bound = Process::new(&Config::load(&written.config).unwrap())
        .unwrap()
        .bind()
        .await
        .unwrap();
    let operations = bound.operations_address().unwrap();
    let (switch, stop) = Stop::by_hand();
    let serving = tokio::spawn(bound.serve(stop));
    let answer = ask(operations, "/health/ready").await;
    assert!(answer.contains("not ready: no current sm key to sign with"), "{answer}");
    switch.pull();
    serving.await.unwrap().unwrap();
}
