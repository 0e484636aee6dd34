//! A `SoftHSM2` token with the bank's RSA keys, behind the module that can be told to fail.
//!
//! `SoftHSM2` finds its tokens by an environment variable, so each test that has one runs in a process of its own: the
//! test starts this program again for itself alone, with the variable set.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::entry::{Held, KeyEntry, ObjectName, Pkcs11Entry, ProviderEntry, SecretSource};
use super::material::{self, write_secret};
use super::sdf_device::{PATIENT, build, tell};
use crate::config::KeyUse;

const CONFIGURATION: &str = "SOFTHSM2_CONF";
/// Set in the process of one test alone.
const DIRECTORY: &str = "SIGNER_TEST_TOKEN";
pub(super) const LABEL: &str = "bank";
pub(super) const PIN: &[u8] = b"135790";
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

pub(super) struct SoftToken {
    directory: PathBuf,
}

/// Runs `body` in a process of its own, with a token. `test` is the name of the calling test in `conformance`, with
/// the modules below.
pub(super) fn in_its_own_process(test: &str, body: impl FnOnce(&SoftToken)) {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let directory = PathBuf::from(directory);
        return body(&SoftToken { directory });
    }
    let directory = tempfile::tempdir().unwrap();
    let token = SoftToken {
        directory: directory.path().to_owned(),
    };
    token.make();
    let ran = Command::new(std::env::current_exe().unwrap())
        .args([&format!("provider::conformance::{test}"), "--exact", "--nocapture"])
        .env(CONFIGURATION, token.configuration())
        .env(DIRECTORY, &token.directory)
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(
        ran.status.success() && said[0].contains("1 passed"),
        "{}",
        said.concat()
    );
}

pub(super) fn softhsm() -> &'static str {
    let installed = MODULES.into_iter().find(|module| Path::new(module).exists());
    installed.expect("softhsm2 is installed: ./run setup")
}

impl SoftToken {
    fn make(&self) {
        let tokens = self.directory.join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        let configuration = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        std::fs::write(self.configuration(), configuration).unwrap();
        write_secret(&self.pin(), PIN);
        let pin = std::str::from_utf8(PIN).unwrap();
        self.softhsm2(&[
            "--init-token",
            "--free",
            "--label",
            LABEL,
            "--so-pin",
            "24680000",
            "--pin",
            pin,
        ]);
        for (name, id) in [("bank-sign-rsa", "a1"), ("bank-decrypt-rsa", "a2")] {
            let file = material::path(&format!("{name}.key.pem"))
                .into_os_string()
                .into_string()
                .unwrap();
            let passphrase = String::from_utf8(material::passphrase()).unwrap();
            let import = [
                "--import",
                &file,
                "--file-pin",
                &passphrase,
                "--token",
                LABEL,
                "--pin",
                pin,
            ];
            self.softhsm2(&[&import[..], &["--label", name, "--id", id]].concat());
        }
        build(
            "faulty_pkcs11.c",
            &self.module(),
            &[format!("-DMODULE=\"{}\"", softhsm())],
        );
    }

    fn softhsm2(&self, arguments: &[&str]) {
        let ran = Command::new("softhsm2-util")
            .args(arguments)
            .env(CONFIGURATION, self.configuration())
            .output()
            .expect("softhsm2 is installed: ./run setup");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("softhsm2.conf")
    }

    pub(super) fn module(&self) -> PathBuf {
        self.directory.join("libfaulty.so")
    }

    pub(super) fn pin(&self) -> PathBuf {
        self.directory.join("pin")
    }

    pub(super) fn tell(&self, word: &str) {
        tell(&self.module(), word);
    }

    pub(super) fn pkcs11_entry(&self) -> Pkcs11Entry {
        Pkcs11Entry {
            name: "hsm".to_owned(),
            module: self.module(),
            token: super::super::entry::Token::Label(LABEL.to_owned()),
            pin: SecretSource::File(self.pin()),
            limits: PATIENT,
            padding_in_module: false,
        }
    }

    pub(super) fn entry(&self) -> ProviderEntry {
        ProviderEntry::Pkcs11(self.pkcs11_entry())
    }
}

/// Of the token: one by label, the other by id.
pub(super) fn keys() -> [KeyEntry; 2] {
    let material = material::rsa();
    [
        key(
            KeyUse::Sign,
            &material.sign_name,
            ObjectName::Label("bank-sign-rsa".to_owned()),
        ),
        key(KeyUse::Decrypt, &material.decrypt_name, ObjectName::Id(vec![0xA2])),
    ]
}

pub(super) fn key(usage: KeyUse, certificate: &str, object: ObjectName) -> KeyEntry {
    KeyEntry {
        usage,
        certificate: material::path(&format!("{certificate}.cert.pem")),
        held: Held::Object {
            provider: "hsm".to_owned(),
            object,
        },
    }
}
