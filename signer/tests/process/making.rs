//! The test keys of the repository, and messages signed and encrypted with them as a peer would.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use signer_crypto::{Certificate, FieldKey, Passphrase, PrivateKey};
use signer_protocol::{EncryptedField, FieldKind, Open, Seal};

pub(crate) const NETWORK: &str = "G4000311000018";

/// A key pair with its certificate, in memory and as files.
pub(crate) struct Pair {
    pub(crate) certificate: Certificate,
    pub(crate) private: PrivateKey,
    pub(crate) certificate_pem: Vec<u8>,
    key_pem: Vec<u8>,
}

fn test_key_file(name: &str) -> Vec<u8> {
    fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fixtures/keys")
            .join(name),
    )
    .unwrap()
}

pub(crate) fn passphrase() -> Vec<u8> {
    test_key_file("TEST-ONLY-passphrase.txt")
}

impl Pair {
    /// One of the pairs that `fixtures/keys/keys.toml` lists.
    pub(crate) fn named(name: &str) -> Self {
        let certificate_pem = test_key_file(&format!("{name}.cert.pem"));
        Self::new(certificate_pem, test_key_file(&format!("{name}.key.pem")))
    }

    /// The same key under another certificate.
    pub(crate) fn under(&self, certificate_pem: Vec<u8>) -> Self {
        Self::new(certificate_pem, self.key_pem.clone())
    }

    fn new(certificate_pem: Vec<u8>, key_pem: Vec<u8>) -> Self {
        let passphrase = Passphrase::new(passphrase().trim_ascii_end().to_vec());
        Self {
            certificate: Certificate::from_pem(&certificate_pem).unwrap(),
            private: PrivateKey::from_pkcs8_pem(&key_pem, &passphrase).unwrap(),
            certificate_pem,
            key_pem,
        }
    }

    /// Writes certificate and key under `directory`; the key readable by its owner alone.
    pub(crate) fn write(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let certificate = directory.join(format!("{name}.cert.pem"));
        let key = directory.join(format!("{name}.key.pem"));
        fs::write(&certificate, &self.certificate_pem).unwrap();
        write_secret(&key, &self.key_pem);
        (certificate, key)
    }
}

pub(crate) fn write_secret(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A message of the network's that `by` signed, its fields encrypted for `receiver`.
pub(crate) fn message(by: &Pair, receiver: &Pair, fields: &[(FieldKind, &str)]) -> Open {
    let field_key = FieldKey::generate(receiver.certificate.suite()).unwrap();
    let encrypted = fields.iter().map(|(kind, text)| EncryptedField {
        kind: *kind,
        ciphertext: field_key.encrypt(text.as_bytes()),
    });
    Open {
        encryption_serial: receiver.certificate.serial().to_owned(),
        envelope: receiver.certificate.seal_envelope(&field_key).unwrap(),
        fields: encrypted.collect(),
        ..plain_message(by)
    }
}

/// A message without anything encrypted.
pub(crate) fn plain_message(by: &Pair) -> Open {
    let signed = b"<root><MsgHeader/><MsgBody/></root>".to_vec();
    Open {
        signature: by.private.sign(&signed).unwrap(),
        signing_serial: by.certificate.serial().to_owned(),
        issuer: NETWORK.to_owned(),
        encryption_serial: String::new(),
        envelope: Vec::new(),
        fields: Vec::new(),
        signed,
    }
}

/// The request to seal the fields of `message` for the network.
pub(crate) fn resealed(message: Open) -> Seal {
    Seal {
        encryption_serial: message.encryption_serial,
        envelope: message.envelope,
        fields: message.fields.into_iter().map(|field| field.ciphertext).collect(),
        receiver: NETWORK.to_owned(),
    }
}
