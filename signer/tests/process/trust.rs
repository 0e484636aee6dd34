//! Who may do what, seen from a real socket: rights, keys, kinds, and what the audit log says of it.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use signer::audit::{Filter, Question, files_of, show, verify};
use signer::{AskFault, ask_to_reload};
use signer_crypto::Suite;
use signer_protocol::{FieldKind, Reveal, Revealed, SignerFault};
use tokio::time::Instant;

use crate::making::{message, plain_message, resealed};
use crate::running::{Running, Written, contract_suite, index, soon};

const MOBILE: &str = "13800001111";
const NAME: &str = "Li Lei";

fn own_user() -> u32 {
    std::fs::metadata("/proc/self").unwrap().uid()
}

/// A configuration with an audit log and these tables of callers; `USER` stands for who runs the test.
fn written(callers: &str) -> Written {
    let written = Written::new("");
    let audit = "directory = \"audit\"\nsync_ms = 5";
    written.change(|text| text.replace("none_not_for_production = true", audit) + &for_user(callers));
    written
}

fn for_user(callers: &str) -> String {
    callers.replace("USER", &own_user().to_string())
}

fn audit_files(running: &Running) -> Vec<PathBuf> {
    files_of(&running.written.directory.path().join("audit")).unwrap()
}

/// The records of a kind, as one text.
fn records(running: &Running, kind: &str) -> String {
    let filter = Filter {
        kind: Some(kind.to_owned()),
        ..Filter::default()
    };
    let mut text = Vec::new();
    show(&audit_files(running), &filter, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn good(running: &Running) {
    let question = Question {
        files: audit_files(running),
        ..Question::default()
    };
    assert_eq!(verify(&question).unwrap().differences, []);
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, SignerFault>, expected: &str) {
    match outcome {
        Err(SignerFault::NotAllowed(text)) => assert_eq!(text, expected),
        other => panic!("{other:?}, not {expected}"),
    }
}

#[tokio::test]
async fn a_caller_does_what_it_may_and_no_more() {
    let tables =
        "[[caller]]\nname = \"batch\"\nunix_user = USER\nmay = [\"sign\", \"open\"]\nkeys = [\"4000000111\"]\n";
    let running = Running::start_from(written(tables)).await;
    let (client, keys) = (&running.client, running.keys);
    let [bank_rsa, bank_sm] = &keys.bank_decrypt;
    assert_eq!(keys.bank_sign[index(Suite::Sm)].certificate.serial(), "4000000111");

    let sm = contract_suite(Suite::Sm);
    assert!(client.sign(sm, b"<root/>".to_vec(), soon()).await.is_ok());
    let rsa = client
        .sign(contract_suite(Suite::Rsa), b"<root/>".to_vec(), soon())
        .await;
    refused(rsa, "the caller has not the right to sign with this key");
    let reserved = b"signer audit seal 1\nlog 00".to_vec();
    let reserved = client.sign(sm, reserved, soon()).await;
    refused(reserved, "what is to be signed is reserved for the audit log");

    let network = &keys.network_sign[index(Suite::Sm)];
    assert!(client.open(plain_message(network), soon()).await.is_ok());
    for receiver in [bank_rsa, bank_sm] {
        let encrypted = message(network, receiver, &[(FieldKind::Mobile, MOBILE)]);
        refused(
            client.open(encrypted.clone(), soon()).await,
            "the caller has not the right to open with this key",
        );
        refused(
            client.seal(resealed(encrypted), soon()).await,
            "the caller has not the right to seal",
        );
    }
    let tokens = client.tokenise(FieldKind::Name, vec![NAME.to_owned()], soon()).await;
    refused(tokens, "the caller has not the right to tokenise");
    assert_eq!(
        client.health(soon()).await,
        Err(SignerFault::Lost),
        "no right to health"
    );
    let reload = ask_to_reload(&running.endpoint).await;
    assert!(matches!(reload, Err(AskFault::Refused(_))), "{reload:?}");

    let refusals = records(&running, "refused");
    assert_eq!(refusals.lines().count(), 9, "{refusals}");
    assert!(refusals.contains("\"caller\":\"batch\",\"peer\":\"uid "), "{refusals}");
    assert!(refusals.contains("\"right\":\"administer\""), "{refusals}");
    let metrics = running.ask("/metrics").await;
    let counted = "signer_not_allowed_total{caller=\"batch\",right=\"open\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
    good(&running);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_change_of_policy_reaches_streams_that_are_open() {
    let mine = for_user("[[caller]]\nname = \"frontend\"\nunix_user = USER\nmay = [\"sign\", \"administer\"]\n");
    let running = Running::start_from(written(&mine)).await;
    let sign = || {
        running
            .client
            .sign(contract_suite(Suite::Sm), b"<root/>".to_vec(), soon())
    };
    assert!(sign().await.is_ok());

    let less = mine.replace("\"sign\", ", "");
    running.written.change(|text| text.replace(&mine, &less));
    let reply = ask_to_reload(&running.endpoint).await.unwrap();
    assert_eq!((reply.taken, reply.generation, &*reply.refusal), (true, 2, ""));
    refused(sign().await, "the caller has not the right to sign");

    running
        .written
        .change(|text| text.replace(&format!("unix_user = {}", own_user()), "unix_user = 4294967294"));
    assert_eq!(ask_to_reload(&running.endpoint).await.unwrap().generation, 3);
    refused(sign().await, "the policy knows no such caller any more");
    let until = Instant::now() + Duration::from_secs(20);
    while sign().await != Err(SignerFault::Lost) {
        assert!(Instant::now() < until, "a stranger is heard");
    }
    let reload = ask_to_reload(&running.endpoint).await;
    assert!(matches!(reload, Err(AskFault::Refused(_))), "{reload:?}");
    assert!(records(&running, "refused").contains("\"caller\":\"unknown\""));
    good(&running);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_reload_is_recorded_whatever_comes_of_it() {
    let running = Running::start_from(written("")).await;
    running
        .written
        .change(|text| text.replacen("[[key]]\nuse = \"decrypt\"", "[[key]]\nuse = \"sign\"", 1));
    assert!(ask_to_reload(&running.endpoint).await.unwrap().taken);
    running.written.change(|text| format!("workers = 0\n{text}"));
    let reply = ask_to_reload(&running.endpoint).await.unwrap();
    assert!(!reply.taken && reply.refusal.contains("workers must lie"), "{reply:?}");
    let changes = records(&running, "keys");
    let [taken, refused] = changes.lines().collect::<Vec<_>>()[..] else {
        panic!("{changes}")
    };
    let serial = running.keys.bank_decrypt[0].certificate.serial();
    let key = |usage: &str| {
        format!("[{{\"serial\":\"{serial}\",\"use\":\"{usage}\",\"suite\":\"rsa\",\"provider\":\"software\"}}]")
    };
    assert!(
        taken.contains("\"by\":\"owner\",\"taken\":true,\"generation\":2"),
        "{taken}"
    );
    assert!(taken.contains(&format!("\"added\":{}", key("sign"))), "{taken}");
    assert!(taken.contains(&format!("\"removed\":{}", key("decrypt"))), "{taken}");
    assert!(refused.contains("\"taken\":false,\"refusal\":"), "{refused}");
    assert!(records(&running, "start").contains("\"callers\":[\"owner\"]"));
    good(&running);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_reveal_is_a_right_of_its_own_and_on_record() {
    let tables =
        "[[caller]]\nname = \"sms\"\nunix_user = USER\nmay = [\"sign\", \"reveal\"]\nreveal_kinds = [\"mobile\"]\n";
    let running = Running::start_from(written(tables)).await;
    for suite in Suite::ALL {
        let bank = &running.keys.bank_decrypt[index(suite)];
        let network = &running.keys.network_sign[index(suite)];
        let fields = [(FieldKind::Mobile, MOBILE), (FieldKind::Name, NAME)];
        let message = message(network, bank, &fields);
        let asked = |place: usize| Reveal {
            encryption_serial: message.encryption_serial.clone(),
            envelope: message.envelope.clone(),
            field: message.fields[place].clone(),
            purpose: format!("one-time password, {suite}"),
        };
        let revealed = running.client.reveal(asked(0), soon()).await.unwrap();
        assert_eq!(revealed, Revealed(MOBILE.into()));
        let last = records(&running, "reveal").lines().last().unwrap().to_owned();
        let serial = bank.certificate.serial();
        for part in [
            format!("\"caller\":\"sms\",\"key\":\"{serial}\",\"field\":\"mobile\""),
            format!("\"purpose\":\"one-time password, {suite}\""),
            "\"outcome\":\"revealed\"".to_owned(),
        ] {
            assert!(last.contains(&part), "{last} has no {part}");
        }
        refused(
            running.client.reveal(asked(1), soon()).await,
            "the caller has not the right to reveal fields of this kind",
        );
        let mut garbled = asked(0);
        garbled.field.ciphertext.truncate(1);
        let garbled = running.client.reveal(garbled, soon()).await;
        assert!(matches!(garbled, Err(SignerFault::Rejected(_))), "{garbled:?}");
        let mut strange = asked(0);
        strange.encryption_serial = "99".to_owned();
        let strange = running.client.reveal(strange, soon()).await;
        assert!(matches!(strange, Err(SignerFault::Rejected(_))), "{strange:?}");
    }
    let reveals = records(&running, "reveal");
    assert_eq!(reveals.lines().count(), 4, "{reveals}");
    let all: String = audit_files(&running)
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    for secret in [MOBILE, NAME, crate::running::TOKEN_KEY_HEX] {
        assert!(
            !all.contains(secret) && !all.contains(&hex::encode(secret)),
            "{secret} is in the log"
        );
    }
    good(&running);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn without_tables_nobody_reveals() {
    let running = Running::start().await;
    let bank = &running.keys.bank_decrypt[index(Suite::Sm)];
    let network = &running.keys.network_sign[index(Suite::Sm)];
    let message = message(network, bank, &[(FieldKind::Mobile, MOBILE)]);
    let asked = Reveal {
        encryption_serial: message.encryption_serial.clone(),
        envelope: message.envelope.clone(),
        field: message.fields[0].clone(),
        purpose: "sms".to_owned(),
    };
    refused(
        running.client.reveal(asked, soon()).await,
        "the caller has not the right to reveal",
    );
    running.stop().await.unwrap();
}
