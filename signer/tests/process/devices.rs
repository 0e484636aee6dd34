//! A signer whose SM keys lie in a device: what the frontend and an operator see of it.
//!
//! What devices do in detail is tried by the conformance suite (`src/provider/conformance`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use signer::{Config, Process};
use signer_crypto::Suite;
use signer_protocol::{FieldKind, OpenVerdict};
use tokio::time::{Instant, sleep};

use crate::command_line::check;
use crate::making::{message, passphrase, write_secret};
use crate::running::{Running, Written, index, soon};

const ACCESS: &[u8] = b"TEST-ONLY access";

/// The software device of `tests/devices` beside a configuration that has its SM keys there.
struct WithDevice {
    written: Written,
    library: PathBuf,
}

impl WithDevice {
    fn new() -> Self {
        let written = Written::new("");
        let library = written.directory.path().join("libsdf.so");
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(package.join("tests/devices/software_sdf.c"))
            .args(["-lcrypto", "-lpthread", "-ldl"])
            .output()
            .expect("cc is installed: ./run setup");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let device = Self { written, library };
        let key = |name: &str| std::fs::read(package.join("../fixtures/keys").join(name)).unwrap();
        write_secret(&device.beside("sign-1.pem"), &key("bank-sign-sm.key.pem"));
        write_secret(&device.beside("enc-1.pem"), &key("bank-decrypt-sm.key.pem"));
        write_secret(&device.beside("passphrase"), passphrase().trim_ascii_end());
        write_secret(&device.beside("password"), ACCESS);
        write_secret(&device.written.directory.path().join("access"), ACCESS);
        device.written.change(|text| device.moved_there(text));
        device
    }

    /// The keys of serials 4000000111 and 4000000113, from their files into the device.
    fn moved_there(&self, text: String) -> String {
        let in_file = |serial: &str| {
            let key = self.written.directory.path().join(format!("{serial}.key.pem"));
            format!("private_key = {key:?}\npassphrase_file = \"passphrase\"")
        };
        let moved = ["4000000111", "4000000113"].iter().fold(text, |text, serial| {
            assert!(text.contains(&in_file(serial)));
            text.replace(
                &in_file(serial),
                "provider = \"encryptor\"\nindex = 1\npassword_file = \"access\"",
            )
        });
        moved + "[[provider]]\nname = \"encryptor\"\nkind = \"sdf\"\nmodule = \"libsdf.so\"\ncall_ms = 20000\n"
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.library, suffix)
    }

    fn tell(&self, word: &str) {
        tell(&self.library, word);
    }
}

fn beside(library: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}.{suffix}", library.display()))
}

/// What it does from now on; never seen half-written.
fn tell(library: &Path, word: &str) {
    let partial = beside(library, "partial");
    std::fs::write(&partial, word).unwrap();
    std::fs::rename(partial, beside(library, "control")).unwrap();
}

async fn signs(running: &Running) -> bool {
    let certificate = &running.keys.bank_sign[index(Suite::Sm)].certificate;
    let signed = b"<root/>".to_vec();
    let signature = running
        .client
        .sign(signer_protocol::Suite::Sm, signed.clone(), soon())
        .await;
    signature.is_ok_and(|signature| certificate.verify(&signed, &signature.bytes).is_ok())
}

#[tokio::test]
async fn keys_in_a_device_serve_and_come_back_with_it() {
    let device = WithDevice::new();
    let library = device.library.clone();
    let running = Running::start_from(device.written).await;
    assert!(signs(&running).await);
    let sm = index(Suite::Sm);
    let fields = [(FieldKind::Mobile, "13800138000")];
    let sent = message(&running.keys.network_sign[sm], &running.keys.bank_decrypt[sm], &fields);
    let opened = running.client.open(sent, soon()).await.unwrap();
    assert!(matches!(opened, OpenVerdict::Opened { .. }), "{opened:?}");
    tell(&library, "away");
    assert!(!signs(&running).await);
    let metrics = running.ask("/metrics").await;
    assert!(
        metrics.contains("signer_provider_keys{provider=\"encryptor\",kind=\"sdf\"} 2"),
        "{metrics}"
    );
    tell(&library, "work");
    let until = Instant::now() + Duration::from_mins(1);
    while !signs(&running).await {
        assert!(Instant::now() < until, "the device does not come back");
        sleep(Duration::from_millis(20)).await;
    }
    running.stop().await.unwrap();
}

#[test]
fn a_device_that_is_away_fails_a_check_and_not_a_start() {
    let device = WithDevice::new();
    let config = device.written.config.to_str().unwrap();
    let checked = ["--config", config, "--check-config"];
    check(&checked, 0, "configuration is good: 6 keys of the bank's");
    device.tell("away");
    check(
        &checked,
        3,
        "keys cannot be used: key 4000000111: the device is away: SDR_OPENDEVICE",
    );
    let started = Process::new(&Config::load(&device.written.config).unwrap()).unwrap();
    assert_eq!(started.away().len(), 2);
}

#[test]
fn a_device_that_refuses_ends_a_start() {
    let device = WithDevice::new();
    let config = device.written.config.to_str().unwrap();
    write_secret(&device.written.directory.path().join("access"), b"wrong");
    check(
        &["--config", config, "--check-config"],
        3,
        "cannot be used in provider encryptor: the device refuses the password of index 1",
    );
}
