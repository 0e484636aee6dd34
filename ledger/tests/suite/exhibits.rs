//! `ledger evidence`: real signed messages of both suites are posted, exported, and checked by nothing but the commands of
//! the readme, with the real `openssl`; altered files fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use ledger::reading::tar::{Part, read, write};
use ledger_model::{Instruction, TransferKey};
use ledger_protocol::{Evidence, PostReply};
use tokio::time::Instant;

use crate::bank::{WAIT, payment, payout};
use crate::process::{Process, Told};

const SERIAL_SM: &str = "4000000101";
const SERIAL_RSA: &str = "4000000102";

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// The evidence of a fixture message: the bytes from `<root` to `</root>`, and the signature in its frame.
fn signed(message: &str, serial: &str) -> Evidence {
    let body = std::fs::read_to_string(fixtures("messages/valid/201").join(message)).unwrap();
    let from = body.find("<root").unwrap();
    let to = body.find("</root>").unwrap() + "</root>".len();
    let signature = body[to..]
        .trim()
        .strip_prefix("{S:")
        .unwrap()
        .strip_suffix('}')
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("base64"), signature).unwrap();
    Evidence {
        signed: body.as_bytes()[from..to].to_vec(),
        signature: shell(directory.path(), "openssl base64 -d -A -in base64"),
        signing_serial: serial.to_owned(),
    }
}

/// What a command prints; it must succeed.
fn shell(directory: &Path, command: &str) -> Vec<u8> {
    let ran = Command::new("sh")
        .args(["-c", command])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    ran.stdout
}

/// A DER signature of two integers as the two bare, 32 bytes each.
fn bare(der: &[u8]) -> Vec<u8> {
    let r = usize::from(der[3]);
    let integers = [&der[4..4 + r], &der[6 + r..]];
    let padded = |integer: &[u8]| {
        let digits: Vec<u8> = integer.iter().copied().skip_while(|byte| *byte == 0).collect();
        [vec![0; 32 - digits.len()], digits].concat()
    };
    integers.map(padded).concat()
}

async fn post(process: &Process, instruction: &Instruction, evidence: Evidence) -> TransferKey {
    let reply = process
        .client
        .post(instruction.clone(), evidence, Instant::now() + WAIT)
        .await;
    let PostReply::Decided {
        transfer,
        repeat: false,
    } = reply
    else {
        panic!("{reply:?}");
    };
    transfer.key
}

fn export(process: &Process, key: &TransferKey, output: &Path, more: &[&str]) -> Told {
    let (id, issuer, category) = (key.id.to_string(), key.issuer.to_string(), key.category.to_string());
    let named = [
        "--issuer",
        &issuer,
        "--category",
        &category,
        "--output",
        output.to_str().unwrap(),
    ];
    process.command(&[&["evidence", &id], &named[..], more].concat())
}

/// Follows the readme, as whoever was handed the file would.
fn check_by_hand(file: &Path, records: usize) {
    let directory = tempfile::tempdir().unwrap();
    shell(directory.path(), &format!("tar -xf {}", file.display()));
    let readme = std::fs::read_to_string(directory.path().join("README.txt")).unwrap();
    let mut commands = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let mut run = || String::from_utf8(shell(directory.path(), commands.next().unwrap())).unwrap();
    let serials = run();
    let serials: Vec<&str> = serials.split(['=', '\n']).collect();
    assert_eq!(serials[1], serials[2], "{serials:?}");
    run();
    assert_eq!(run(), "Verified OK\n");
    assert_eq!(run(), run(), "the digest in the record");
    for _ in 1..records {
        assert_eq!(run(), run(), "the hash in the next record");
    }
    let last = run();
    assert_eq!(commands.next(), None, "{readme}");
    assert!(
        last.len() == 65 && readme.contains("   When this was exported"),
        "{last}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_can_check_an_exhibit_of_either_suite_with_openssl_alone() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path()).await;
    process.load(1..3, "CNY1000.00").await;
    let sm = signed("010-payment-sm.xml", SERIAL_SM);
    let rsa = signed("011-payment-rsa.xml", SERIAL_RSA);
    let raw = Evidence {
        signature: bare(&sm.signature),
        ..sm.clone()
    };
    let cases = [
        (sm, "network-sign-sm.cert.pem", "1", 2),
        (rsa, "network-sign-rsa.cert.pem", "0", 1),
        (raw, "network-sign-sm.cert.pem", "1000", 3),
    ];
    let mut exported = Vec::new();
    for (number, (evidence, ..)) in (1..).zip(&cases) {
        exported.push(post(&process, &payment(number, 1, 100), evidence.clone()).await);
    }
    for number in 10..12 {
        process.post(&payment(number, 1, 100)).await;
    }
    for ((_, certificate, following, records), key) in cases.iter().zip(&exported) {
        let file = directory.path().join(format!("{}.tar", key.id));
        let pem = fixtures("keys").join(certificate);
        let more = ["--following", following, "--certificate", pem.to_str().unwrap()];
        let told = export(&process, key, &file, &more);
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
        check_by_hand(&file, *records);
        let checked = Told::by(["evidence", "check", file.to_str().unwrap()]);
        assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{checked:?}");
        assert!(checked.out.ends_with("sound, and the signature holds\n"), "{checked:?}");
        refuses_alterations(&file);
    }
}

/// Any part altered, left out or added is found, by the check and, where it was signed, by OpenSSL.
fn refuses_alterations(file: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let altered = directory.path().join("altered.tar");
    let check = |parts: &[Part], what: &str| {
        std::fs::write(&altered, write(parts)).unwrap();
        let told = Told::by(["evidence", "check", altered.to_str().unwrap()]);
        assert_eq!(told.code, 5, "{what}: {told:?}");
    };
    let parts = read(&std::fs::read(file).unwrap()).unwrap();
    for place in 0..parts.len() {
        let mut some = parts.clone();
        let content = &mut some[place].content;
        let middle = content.len() / 2;
        content[middle] ^= 1;
        check(&some, &parts[place].name);
        let mut fewer = parts.clone();
        fewer.remove(place);
        // without a certificate everything else still holds
        if parts[place].name != "certificate.pem" {
            check(&fewer, &parts[place].name);
        }
    }
    let mut more = parts.clone();
    more.push(Part {
        name: "more.txt".to_owned(),
        content: Vec::new(),
    });
    check(&more, "a part added");
    let mut other = parts.clone();
    let place = other.iter().position(|part| part.name == "certificate.pem").unwrap();
    other[place].content = std::fs::read(fixtures("keys/institution-sign-sm.cert.pem")).unwrap();
    check(&other, "another certificate");
    std::fs::write(&altered, &std::fs::read(file).unwrap()[..1000]).unwrap();
    let cut = Told::by(["evidence", "check", altered.to_str().unwrap()]);
    cut.fails(5, "not an archive of plain files");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_found_by_its_id_alone_and_several_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path()).await;
    process.load(1..9, "CNY1000.00").await;
    for number in 1..30 {
        process.post(&payment(number, number % 8 + 1, 100)).await;
    }
    // another category, the same id
    process.post(&payout(7, 2, 100)).await;
    let evidence = signed("010-payment-sm.xml", SERIAL_SM);
    let key = post(&process, &payment(90, 3, 100), evidence).await;
    let id = key.id.to_string();
    let (by_id, at_rest) = (directory.path().join("by-id.tar"), directory.path().join("at-rest.tar"));
    let place = by_id.to_str().unwrap();
    let told = process.command(&["evidence", &id, "--output", place]);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    process
        .command(&["evidence", &id, "--output", place])
        .fails(1, "File exists");

    let unchecked = Told::by(["evidence", "check", place]);
    unchecked.fails(1, "without a certificate the signature is not checked");
    let pem = fixtures("keys/network-sign-sm.cert.pem");
    let checked = Told::by(["evidence", "check", place, "--certificate", pem.to_str().unwrap()]);
    assert_eq!(checked.code, 0, "{checked:?}");

    let twice = payment(7, 1, 1).key().id.to_string();
    let none = directory.path().join("none.tar");
    let listed = process.command(&["evidence", &twice, "--output", none.to_str().unwrap()]);
    listed.fails(1, "several transfers have this id");
    let expected = ["0110", "0120"].map(|category| format!("--issuer G4000311000018 --category {category}"));
    let mut lines: Vec<&str> = listed.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, expected);
    let one = process.command(&[
        "evidence",
        &twice,
        "--category",
        "0120",
        "--output",
        none.to_str().unwrap(),
    ]);
    assert!(one.code == 0 && one.out.contains("payout of CNY1.00"), "{one:?}");
    let nobody = payment(4_711, 1, 1).key().id.to_string();
    let nowhere = directory.path().join("nowhere.tar");
    process
        .command(&["evidence", &nobody, "--output", nowhere.to_str().unwrap()])
        .fails(1, "no transfer has this id");
    process
        .command(&["evidence", "short", "--output", place])
        .fails(2, "short");
    assert!(!nowhere.exists());

    process.kill();
    let data = directory.path().join("data");
    let told = Told::at_rest(&data, "evidence", &[&id, "--output", at_rest.to_str().unwrap()]);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    assert_eq!(std::fs::read(at_rest).unwrap(), std::fs::read(by_id).unwrap());
}
