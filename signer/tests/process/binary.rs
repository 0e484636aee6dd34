//! The binary as it is run: its signal to reload, and the memory it takes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use operations::endpoint::Endpoint;
use signer_crypto::Suite;
use signer_protocol::{Rejection, SignerClient};

use crate::making::{NETWORK, plain_message};
use crate::running::{Keys, Written, index, soon, verdict_of};

/// Ends with the test.
struct Binary {
    child: Child,
    client: SignerClient,
}

impl Binary {
    async fn start(written: &Written) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_signer"))
            .args(["--config", written.config.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let endpoint = Endpoint::unix(written.directory.path().join("signer.sock"));
        let client = SignerClient::connect(&endpoint).unwrap();
        let binary = Self { child, client };
        let until = soon() + Duration::from_secs(20);
        while binary.client.health(soon()).await.is_err() {
            assert!(soon() < until + Duration::from_secs(20), "the signer does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        binary
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Of memory that is resident now, in KiB.
    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _status = self.child.wait();
    }
}

#[tokio::test]
async fn a_hangup_reloads_and_nothing_stops() {
    let written = Written::new("");
    let binary = Binary::start(&written).await;
    let open = plain_message(&Keys::of_all_tests().network_sign[index(Suite::Sm)]);
    assert_eq!(verdict_of(&binary.client, open.clone()).await, Ok(()));
    written.change(|text| text.replace("revoked = [", "revoked = [\"4000000101\", "));
    binary.signal("-HUP");
    let until = soon();
    while verdict_of(&binary.client, open.clone()).await != Err(Rejection::CertificateRevoked) {
        assert!(soon() < until + Duration::from_secs(20), "nothing was reloaded");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const CERTIFICATES: usize = 200;
const RESIDENT_KIB_MAX: u64 = 128 << 10;

/// As many keys as certificates: nothing is saved by keys that are alike.
#[tokio::test]
async fn two_hundred_certificates_fit_into_memory() {
    let written = Written::new("");
    let made: Vec<PathBuf> = (0..CERTIFICATES)
        .map(|number| make_certificate(written.directory.path(), number))
        .collect();
    written.change(|text| {
        let peers = made.iter().map(|certificate| {
            format!("[[peer]]\ninstitution = \"{NETWORK}\"\nuse = \"verify\"\ncertificate = {certificate:?}\n")
        });
        text + &peers.collect::<String>()
    });
    let binary = Binary::start(&written).await;
    let open = plain_message(&Keys::of_all_tests().network_sign[index(Suite::Sm)]);
    for _ in 0..200 {
        assert_eq!(verdict_of(&binary.client, open.clone()).await, Ok(()));
    }
    let loaded = binary.resident_kib();
    // During a reload both sets are there.
    written.change(|text| text.replace("revoked = [", "revoked = [\"4000000101\", "));
    binary.signal("-HUP");
    let (until, mut most) = (soon(), loaded);
    while verdict_of(&binary.client, open.clone()).await.is_ok() {
        assert!(soon() < until + Duration::from_secs(20), "nothing was reloaded");
        most = most.max(binary.resident_kib());
    }
    eprintln!("{loaded} KiB resident with {CERTIFICATES} certificates, {most} KiB in a reload");
    assert!(most <= RESIDENT_KIB_MAX, "{most} KiB");
}

/// Over a new SM2 key, by OpenSSL's command.
fn make_certificate(directory: &Path, number: usize) -> PathBuf {
    let (key, certificate) = (
        directory.join("made.key.pem"),
        directory.join(format!("made-{number}.cert.pem")),
    );
    openssl(
        Command::new("openssl")
            .args(["ecparam", "-name", "SM2", "-genkey", "-noout", "-out"])
            .arg(&key),
    );
    openssl(
        Command::new("openssl")
            .args(["req", "-x509", "-sm3", "-sigopt", "distid:1234567812345678"])
            .args([
                "-subj",
                "/CN=made",
                "-days",
                "30",
                "-set_serial",
                &format!("0x70{number:04}"),
            ])
            .args([Path::new("-key"), &key, Path::new("-out"), &certificate]),
    );
    certificate
}

fn openssl(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
