//! The software device behind the GM/T 0018 interface, built for one test, with the bank's keys at its indexes.

use std::path::{Path, PathBuf};
use std::process::Command;

use signer_crypto::Suite;

use super::super::entry::{Held, InternalDecrypt, KeyEntry, ProviderEntry, SdfEntry, SecretSource, SessionLimits};
use super::material::{self, Material, write_secret};
use crate::config::KeyUse;

pub(super) const PASSWORD: &[u8] = b"TEST-ONLY access";

/// No test fails because the machine is busy.
pub(super) const PATIENT: SessionLimits = SessionLimits {
    sessions: 2,
    call_ms: 20_000,
};

/// For devices that stall.
pub(super) const BRISK: SessionLimits = SessionLimits {
    sessions: 2,
    call_ms: 300,
};

pub(super) struct SdfDevice {
    pub(super) directory: tempfile::TempDir,
}

/// Builds a library from a source in `tests/devices`.
pub(super) fn build(source: &str, library: &Path, arguments: &[String]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/devices").join(source);
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(library)
        .arg(source)
        .args(arguments)
        .args(["-lcrypto", "-lpthread", "-ldl"])
        .output()
        .expect("cc is installed: ./run setup");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// Tells a library of `tests/devices` what to do from now on.
pub(super) fn tell(library: &Path, word: &str) {
    write_secret(&beside(library, "control"), word.as_bytes());
}

/// How often a secret was presented to it.
pub(super) fn secrets_presented(library: &Path) -> usize {
    std::fs::read(beside(library, "count")).map_or(0, |count| count.len())
}

fn beside(library: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}.{suffix}", library.display()))
}

impl SdfDevice {
    pub(super) fn new() -> Self {
        Self::with(InternalDecrypt::Index)
    }

    pub(super) fn with(form: InternalDecrypt) -> Self {
        let form = match form {
            InternalDecrypt::Index => 1,
            InternalDecrypt::IndexAlgorithm => 2,
            InternalDecrypt::AlgorithmIndex => 3,
        };
        Self::built(&[format!("-DINTERNAL_DECRYPT={form}")])
    }

    /// SM keys at index 1, RSA keys at 2 and 3, of which the device knows no other pair.
    pub(super) fn built(arguments: &[String]) -> Self {
        let device = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        build("software_sdf.c", &device.library(), arguments);
        for (place, key) in [
            ("sign-1.pem", "bank-sign-sm"),
            ("enc-1.pem", "bank-decrypt-sm"),
            ("sign-2.pem", "bank-sign-rsa"),
            ("enc-3.pem", "bank-decrypt-rsa"),
        ] {
            let key = material::path(&format!("{key}.key.pem"));
            std::fs::copy(key, beside(&device.library(), place)).unwrap();
        }
        write_secret(&beside(&device.library(), "passphrase"), &material::passphrase());
        write_secret(&beside(&device.library(), "password"), PASSWORD);
        write_secret(&device.password(), PASSWORD);
        device
    }

    pub(super) fn library(&self) -> PathBuf {
        self.directory.path().join("libsdf.so")
    }

    pub(super) fn password(&self) -> PathBuf {
        self.directory.path().join("access")
    }

    pub(super) fn tell(&self, word: &str) {
        tell(&self.library(), word);
    }

    pub(super) fn sdf_entry(&self) -> SdfEntry {
        SdfEntry {
            name: "encryptor".to_owned(),
            module: self.library(),
            limits: PATIENT,
            internal_decrypt: InternalDecrypt::Index,
        }
    }

    pub(super) fn entry(&self) -> ProviderEntry {
        ProviderEntry::Sdf(self.sdf_entry())
    }

    pub(super) fn keys(&self, material: &Material) -> [KeyEntry; 2] {
        let [sign, decrypt] = match material.suite {
            Suite::Rsa => [2, 3],
            Suite::Sm => [1, 1],
        };
        [
            self.key(KeyUse::Sign, &material.sign_name, sign),
            self.key(KeyUse::Decrypt, &material.decrypt_name, decrypt),
        ]
    }

    pub(super) fn key(&self, usage: KeyUse, certificate: &str, index: u32) -> KeyEntry {
        KeyEntry {
            usage,
            certificate: material::path(&format!("{certificate}.cert.pem")),
            held: Held::Index {
                provider: "encryptor".to_owned(),
                index,
                password: SecretSource::File(self.password()),
            },
        }
    }
}
