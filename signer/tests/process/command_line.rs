//! The binary itself: exit codes and what it says.

use std::process::{Command, Output};

use crate::running::Written;

const PASSPHRASE: &str = "SIGNER_TEST_PASSPHRASE";

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signer"))
        .args(arguments)
        .env(PASSPHRASE, String::from_utf8(crate::making::passphrase()).unwrap())
        .output()
        .unwrap()
}

#[track_caller]
pub(crate) fn check(arguments: &[&str], code: i32, expected: &str) {
    let output = run(arguments);
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(expected), "{said}");
}

#[test]
fn exit_codes() {
    let written = Written::new("");
    let config = written.config.to_str().unwrap();
    check(
        &["--config", config, "--check-config"],
        0,
        "configuration is good: 6 keys of the bank's, 7 certificates",
    );
    check(&["--version"], 0, "signer 0.1.0");
    check(&["--help"], 0, "--check-config");
    check(&[], 2, "--config");
    check(
        &["--config", "/nowhere/signer.toml"],
        3,
        "/nowhere/signer.toml cannot be read",
    );
    let token_key = written.directory.path().join("token-key");
    std::fs::remove_file(token_key).unwrap();
    check(
        &["--config", config, "--check-config"],
        3,
        "token-key cannot be read: No such file",
    );
}

#[test]
fn a_taken_operations_address_has_its_own_exit_code() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let written = Written::new("");
    let text = std::fs::read_to_string(&written.config).unwrap();
    let text = text.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    std::fs::write(&written.config, text).unwrap();
    check(
        &["--config", written.config.to_str().unwrap()],
        4,
        "cannot be listened on",
    );
}

#[test]
fn a_passphrase_from_the_environment() {
    let written = Written::new("");
    let text = std::fs::read_to_string(&written.config).unwrap();
    let with = |variable: &str| {
        text.replace(
            "passphrase_file = \"passphrase\"",
            &format!("passphrase_env = \"{variable}\""),
        )
    };
    let config = written.config.to_str().unwrap();
    std::fs::write(config, with(PASSPHRASE)).unwrap();
    check(
        &["--config", config, "--check-config"],
        0,
        "not for production unless an HSM guards them",
    );
    std::fs::write(config, with("SIGNER_TEST_ABSENT")).unwrap();
    check(
        &["--config", config, "--check-config"],
        3,
        "the environment variable SIGNER_TEST_ABSENT holds no secret",
    );
}
