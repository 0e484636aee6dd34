//! A signer as it is shipped: the program itself, in a process of its own, on a Unix socket in a temporary directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use operations::endpoint::Endpoint;
use signer_crypto::{Passphrase, PrivateKey};
use signer_protocol::{Open, SignerClient, Suite};
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) const NETWORK: &str = "G4000311000018";
/// Long for a machine that does much else; a signer that has to prove itself again waits 5 s at a time.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
pub(crate) const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/keys");

/// Which keys of the bank's a signer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    Every,
    NothingToSignWith,
}

#[derive(Debug)]
pub(crate) struct Spawned {
    child: Option<Child>,
    directory: TempDir,
    pub(crate) endpoint: Endpoint,
}

impl Spawned {
    /// `head` are further lines for the head of the configuration.
    pub(crate) async fn start(has: Has, head: &str) -> Self {
        let mut spawned = Self::prepare(has, head);
        spawned.run().await;
        spawned
    }

    fn prepare(has: Has, head: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_configuration(directory.path(), has, head);
        Self {
            child: None,
            endpoint: Endpoint::unix(directory.path().join("signer.sock")),
            directory,
        }
    }

    /// A configuration with every key, as the signers of these tests have.
    pub(crate) fn configure(directory: &Path) {
        write_configuration(directory, Has::Every, "");
    }

    /// Starts it, again after a kill, and waits until it answers.
    pub(crate) async fn run(&mut self) {
        self.kill();
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_signer"))
            .arg("--config")
            .arg(self.directory.path().join("signer.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let client = SignerClient::connect(&self.endpoint).unwrap();
        wait_for("the signer answers", || async {
            client.signing_serial(Suite::Rsa, soon()).await.is_ok() || client.health(soon()).await.is_ok()
        })
        .await;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -s {name} {}", self.pid())])
            .status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("signer.sock")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("signer.log")
    }

    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let logged = self.logged();
            let last: Vec<&str> = logged.lines().rev().take(20).collect();
            eprintln!("the signer's last lines, latest first:\n{}", last.join("\n"));
        }
    }
}

pub(crate) fn soon() -> Instant {
    Instant::now() + LIMIT
}

/// Looks again and again until the condition holds.
pub(crate) async fn wait_for<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let until = soon();
    while !holds().await {
        assert!(Instant::now() < until, "did not come about: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Copies of the repository's test keys that only the owner may read, and a configuration that names them.
fn write_configuration(directory: &Path, has: Has, head: &str) {
    for entry in fs::read_dir(KEYS).unwrap() {
        let path = entry.unwrap().path();
        let copy = directory.join(path.file_name().unwrap());
        fs::copy(&path, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let key = |usage: &str, suite: &str| {
        let files =
            format!("certificate = \"bank-{usage}-{suite}.cert.pem\"\nprivate_key = \"bank-{usage}-{suite}.key.pem\"");
        format!("[[key]]\nuse = \"{usage}\"\n{files}\npassphrase_file = \"TEST-ONLY-passphrase.txt\"\n")
    };
    let usages: &[&str] = match has {
        Has::Every => &["sign", "decrypt"],
        Has::NothingToSignWith => &["decrypt"],
    };
    let keys = usages.iter().map(|usage| key(usage, "sm") + &key(usage, "rsa"));
    let peers = ["network-sign-sm", "network-sign-rsa"].map(|name| {
        format!("[[peer]]\ninstitution = \"{NETWORK}\"\nuse = \"verify\"\ncertificate = \"{name}.cert.pem\"\n")
    });
    let text = format!(
        "listen = \"unix:signer.sock\"\n{head}\n[operations]\naddress = \"127.0.0.1:0\"\n\
         [tokens]\nkey_file = \"TEST-ONLY-token-key.hex\"\n\
         [audit]\nnone_not_for_production = true\n{}{}",
        keys.collect::<String>(),
        peers.concat()
    );
    fs::write(directory.join("signer.toml"), text).unwrap();
}

/// A message of the network's in the SM suite, without anything encrypted.
pub(crate) fn message(number: usize) -> Open {
    let passphrase = fs::read(format!("{KEYS}/TEST-ONLY-passphrase.txt")).unwrap();
    let pem = fs::read(format!("{KEYS}/network-sign-sm.key.pem")).unwrap();
    let private = PrivateKey::from_pkcs8_pem(&pem, &Passphrase::new(passphrase.trim_ascii_end().to_vec())).unwrap();
    let signed = format!("<root><MsgHeader/><MsgBody>{number}</MsgBody></root>").into_bytes();
    Open {
        signature: private.sign(&signed).unwrap(),
        signing_serial: "4000000101".to_owned(),
        issuer: NETWORK.to_owned(),
        encryption_serial: String::new(),
        envelope: Vec::new(),
        fields: Vec::new(),
        signed,
    }
}
