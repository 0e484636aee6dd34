//! The audit log of the real process: killed under load, on a disk that takes nothing, and read by the command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use operations::endpoint::Endpoint;
use signer_crypto::Suite;
use signer_protocol::{FieldKind, Open, Reveal, SignerClient, SignerFault};
use tokio::time::Instant;

use crate::making::message;
use crate::running::{Keys, Written, contract_suite, index, soon};

const SIGNER: &str = env!("CARGO_BIN_EXE_signer");
const MOBILE: &str = "13800001111";

/// A signer in a process of its own.
struct Spawned {
    child: Child,
    client: SignerClient,
}

fn written() -> Written {
    let written = Written::new("");
    let audit = "directory = \"audit\"\nsync_ms = 20\nfile_bytes_max = 65536";
    let user = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap());
    let caller = format!(
        "[[caller]]\nname = \"load\"\nunix_user = {user}\nmay = [\"sign\", \"reveal\", \"health\", \"administer\"]\n\
         reveal_kinds = [\"mobile\"]\n"
    );
    written.change(|text| text.replace("none_not_for_production = true", audit) + &caller);
    written
}

fn directory(written: &Written) -> PathBuf {
    written.directory.path().join("audit")
}

impl Spawned {
    /// A file that has grown too large is an error to it and not its end.
    async fn start(written: &Written) -> Self {
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" --config \"$1\"", SIGNER])
            .arg(&written.config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let endpoint = Endpoint::unix(written.directory.path().join("signer.sock"));
        let client = SignerClient::connect(&endpoint).unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while client.signing_serial(contract_suite(Suite::Sm), soon()).await.is_err() {
            assert!(Instant::now() < until, "the signer does not come up");
        }
        Self { child, client }
    }

    /// How far files may grow: `1` takes nothing more.
    fn limit_files(&self, bytes: &str) {
        let pid = self.child.id().to_string();
        let limited = Command::new("prlimit")
            .args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")])
            .status();
        assert!(limited.unwrap().success());
    }

    async fn sign(&self) -> Result<(), SignerFault> {
        let signed = b"<root>an answer</root>".to_vec();
        let signature = self.client.sign(contract_suite(Suite::Sm), signed, soon()).await;
        signature.map(drop)
    }

    /// Ends as asked; the exit code.
    fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    fn kill(self) {
        drop(self);
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(SIGNER).args(arguments).output().unwrap()
}

/// What `audit verify` finds, as JSON; it must be good.
#[track_caller]
fn verified(directory: &Path, further: &[&str]) -> serde_json::Value {
    let directory = directory.to_str().unwrap();
    let arguments = [&["audit", "verify", "--json", "--directory", directory], further].concat();
    let output = run(&arguments);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_str(&said).unwrap()
}

fn shown(directory: &Path, kind: &str) -> String {
    let output = run(&[
        "audit",
        "show",
        "--directory",
        directory.to_str().unwrap(),
        "--kind",
        kind,
    ]);
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn uses(report: &serde_json::Value, operation: &str) -> u64 {
    let uses = report["key_uses"].as_array().unwrap().iter();
    uses.filter(|uses| uses["operation"] == operation && uses["caller"] == "load")
        .map(|uses| uses["count"].as_u64().unwrap())
        .sum()
}

fn reveal(message: &Open, purpose: String) -> Reveal {
    Reveal {
        encryption_serial: message.encryption_serial.clone(),
        envelope: message.envelope.clone(),
        field: message.fields[0].clone(),
        purpose,
    }
}

fn encrypted() -> Open {
    let keys = Keys::of_all_tests();
    let sm = index(Suite::Sm);
    message(
        &keys.network_sign[sm],
        &keys.bank_decrypt[sm],
        &[(FieldKind::Mobile, MOBILE)],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_reveal_that_was_answered() {
    let written = written();
    let message = Arc::new(encrypted());
    let mut answered: Vec<String> = Vec::new();
    for round in 0..3 {
        let spawned = Spawned::start(&written).await;
        let signed = Arc::new(AtomicU64::new(0));
        let revealing = tokio::spawn({
            let (client, message) = (spawned.client.clone(), Arc::clone(&message));
            async move {
                let mut answered = Vec::new();
                for number in 0.. {
                    let purpose = format!("round {round} number {number}");
                    match client.reveal(reveal(&message, purpose.clone()), soon()).await {
                        Ok(_) => answered.push(purpose),
                        Err(_) => break,
                    }
                }
                answered
            }
        });
        let signing = tokio::spawn({
            let (client, signed) = (spawned.client.clone(), Arc::clone(&signed));
            async move {
                let sign = || client.sign(contract_suite(Suite::Sm), vec![b'x'; 1024], soon());
                while sign().await.is_ok() {
                    signed.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let until = Instant::now() + Duration::from_secs(30);
        while signed.load(Ordering::SeqCst) < 100
            || shown(&directory(&written), "reveal").lines().count() < 20 * (round + 1)
        {
            assert!(Instant::now() < until, "there is no load");
        }
        spawned.kill();
        answered.extend(revealing.await.unwrap());
        signing.await.unwrap();
        verified(&directory(&written), &[]);
    }
    let recorded = shown(&directory(&written), "reveal");
    assert!(answered.len() >= 3, "{}", answered.len());
    for purpose in &answered {
        assert!(
            recorded.contains(&format!("\"purpose\":\"{purpose}\"")),
            "{purpose} is not in the log"
        );
    }
    assert_eq!(Spawned::start(&written).await.stop(), Some(0));
    let certificate = written.directory.path().join("4000000111.cert.pem");
    let report = verified(&directory(&written), &["--certificate", certificate.to_str().unwrap()]);
    assert_eq!(
        (&report["kinds"]["start"], &report["kinds"]["stop"]),
        (&4.into(), &1.into())
    );
    assert_eq!(report["records_after_seal"], 0);
    let all: String = signer::audit::files_of(&directory(&written))
        .unwrap()
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    assert!(!all.contains(MOBILE), "a plaintext is in the log");
}

#[tokio::test]
async fn no_key_is_used_while_the_log_cannot_be_written() {
    let written = written();
    let spawned = Spawned::start(&written).await;
    let mut signed: u64 = 0;
    spawned.sign().await.unwrap();
    signed += 1;
    spawned.limit_files("1");
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match spawned.sign().await {
            Ok(()) => signed += 1,
            Err(SignerFault::KeyUnavailable(_)) => break,
            Err(other) => panic!("{other:?}"),
        }
        assert!(Instant::now() < until, "keys are used without a record");
    }
    let revealed = spawned
        .client
        .reveal(reveal(&encrypted(), "meanwhile".to_owned()), soon())
        .await;
    assert!(matches!(revealed, Err(SignerFault::KeyUnavailable(_))), "{revealed:?}");
    // What was found just before may still be told.
    while spawned.client.health(soon()).await.unwrap().iter().any(|key| key.works) {
        assert!(Instant::now() < until, "the keys are said to work");
    }

    spawned.limit_files("unlimited");
    while spawned.sign().await.is_err() {
        assert!(Instant::now() < until, "it does not recover");
    }
    signed += 1;
    assert_eq!(spawned.stop(), Some(0));
    let report = verified(&directory(&written), &[]);
    assert_eq!(
        uses(&report, "sign"),
        signed,
        "each signature, the ones noted before the failure too"
    );
    assert!(report["kinds"]["resumed"].as_u64() >= Some(1), "{report}");
    assert!(!shown(&directory(&written), "reveal").contains("meanwhile"));
}

#[tokio::test]
async fn the_command_line_tells_good_from_altered() {
    #[track_caller]
    fn check(arguments: &[&str], code: i32, expected: &str) {
        let output = run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let written = written();
    let config = written.config.to_str().unwrap();
    check(&["reload", "--config", config], 1, "the signer cannot be asked");
    let spawned = Spawned::start(&written).await;
    check(&["reload", "--config", config], 0, "reloaded: generation 2, 6 keys");
    let token_key = written.directory.path().join("token-key");
    fs::rename(&token_key, written.directory.path().join("away")).unwrap();
    check(&["reload", "--config", config], 5, "nothing was reloaded: ");
    fs::rename(written.directory.path().join("away"), &token_key).unwrap();
    spawned.sign().await.unwrap();
    let log = directory(&written);
    let log = log.to_str().unwrap();
    check(&["audit", "verify", "--directory", log], 0, "good");
    assert_eq!(spawned.stop(), Some(0));

    check(
        &["audit", "verify", "--directory", log],
        0,
        "key 4000000111: sign for load: 1\n",
    );
    check(&["audit", "verify"], 2, "required");
    check(&["audit", "verify", "--directory", "/nowhere"], 1, "cannot be read");
    let empty = tempfile::tempdir().unwrap();
    let empty = empty.path().to_str().unwrap();
    check(
        &["audit", "verify", "--directory", empty],
        1,
        "holds no file of an audit log",
    );
    let unknown = "0".repeat(64);
    let expecting = ["audit", "verify", "--directory", log, "--expect-head", &unknown];
    check(&expecting, 5, "the end is missing");
    check(
        &["audit", "verify", "--directory", log, "--expect-head", "x"],
        2,
        "64 lower-case",
    );
    let file = signer::audit::files_of(&directory(&written)).unwrap().remove(0);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"caller\":\"load\"", "\"caller\":\"lead\"", 1)).unwrap();
    check(
        &["audit", "verify", file.to_str().unwrap()],
        5,
        "DIFFERS audit-000000000001.jsonl:",
    );
    check(&["--config", config], 1, "is damaged at line");
}
