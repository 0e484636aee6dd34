//! What an operator may write, and what is refused.

use super::*;

const LEAST: &str = r#"
    listen = "127.0.0.1:8443"
    bank = "C1030131001234"
    signer = "unix:run/signer.sock"
    ledger = "unix:/run/ledger.sock"
    operations = { address = "127.0.0.1:9101" }
    tls = { certificate = "tls/a.pem", private_key = "tls/k.pem", client_ca = "/ca.pem", allowed = [{ subject = "network" }] }
"#;

fn load(text: &str) -> Result<Config, SettingFault> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("frontend.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&file)
}

#[test]
fn the_least_that_is_needed_and_its_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("frontend.toml");
    std::fs::write(&file, LEAST).unwrap();
    let config = Config::load(&file).unwrap();
    assert_eq!(config.path, "/preSvr");
    assert_eq!(config.network.as_str(), NETWORK);
    assert_eq!(config.message.body_bytes_max, 65_536);
    assert_eq!(config.clock.also_accept_fixture_time_not_for_production, None);
    assert_eq!(config.tls.certificate, directory.path().join("tls/a.pem"));
    assert_eq!(config.tls.client_ca, Path::new("/ca.pem"));
    assert_eq!(
        config.signers(),
        [Endpoint::unix(directory.path().join("run/signer.sock"))]
    );
}

#[test]
fn one_signer_or_several_but_not_both_ways() {
    const ONE: &str = r#"signer = "unix:run/signer.sock""#;
    let check = |written: &str, expected: Result<usize, &str>| {
        let read = load(&LEAST.replace(ONE, written)).map(|config| config.signers().len());
        let said = read.map_err(|fault| fault.to_string());
        assert_eq!(said, expected.map_err(str::to_owned), "{written}");
    };
    let neither = "signer must be one endpoint, or signers a list of them";
    check(ONE, Ok(1));
    check(r#"signers = ["unix:a", "unix:/b"]"#, Ok(2));
    check("", Err(neither));
    check("signers = []", Err(neither));
    check(
        &format!(r#"{ONE}; signers = ["unix:a"]"#).replace("; ", "\n"),
        Err(neither),
    );
    let many = vec![r#""unix:a""#; 17].join(",");
    check(
        &format!("signers = [{many}]"),
        Err("signers must be a list of at most 16 endpoints"),
    );
}

#[test]
fn what_cannot_be_served_with_is_refused_by_key() {
    let check = |more: &str, expected: &str| {
        let said = load(&format!("{LEAST}\n{more}")).map_or_else(|fault| fault.to_string(), |_| "read".to_owned());
        assert!(said.contains(expected), "{more}: {said}");
    };
    check("", "read");
    check("path = \"preSvr\"", "path must be absolute");
    check("network = \"X\"", "an institution is 14 characters");
    check("worker_threads = 0", "worker_threads must be between");
    check(
        "[admission]\npayments_max = 4000",
        "admission.payments_max must be less than admission.transfers_max",
    );
    check(
        "[admission]\ntransfers_max = 4096",
        "admission.transfers_max must be less",
    );
    check(
        "[deadlines]\nanswer_ms = 400",
        "deadlines.signing_reserve_ms must be less",
    );
    check("[message]\ncurrencies = [\"yuan\"]", "three capital letters");
    check(
        "[clock]\nalso_accept_fixture_time_not_for_production = \"2026-03-02\"",
        "a time is",
    );
    check(
        "[clock]\nalso_accept_fixture_time_not_for_production = \"2026-03-02T10:00:00\"",
        "read",
    );
    check("[clock]\nallow_old = true", "unknown field");
    check("[connections]\nheader_bytes_max = 100", "at least 8192");
    let nobody = LEAST.replace(r#"{ subject = "network" }"#, "");
    assert!(
        load(&nobody)
            .unwrap_err()
            .to_string()
            .contains("tls.allowed must be at least one")
    );
    let nothing = LEAST.replace(r#"{ subject = "network" }"#, "{}");
    assert!(
        load(&nothing)
            .unwrap_err()
            .to_string()
            .contains("a subject or a serial")
    );
}
