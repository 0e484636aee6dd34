//! Keys and certificates made through OpenSSL, and messages signed and encrypted with them as a peer would.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::{X509, X509Name};
use signer_crypto::{Certificate, FieldKey, Passphrase, PrivateKey, Suite};
use signer_protocol::{EncryptedField, FieldKind, Open, Seal};

pub(crate) const NETWORK: &str = "G4000311000018";
pub(crate) const PASSPHRASE: &[u8] = b"made in a test";

/// Serial (hexadecimal) and dates (years) of a certificate to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) serial: &'static str,
    pub(crate) suite: Suite,
    pub(crate) from_year: u16,
    pub(crate) to_year: u16,
}

/// A key pair with its certificate, in memory and as files.
pub(crate) struct Pair {
    pub(crate) certificate: Certificate,
    pub(crate) private: PrivateKey,
    certificate_pem: Vec<u8>,
    key_pem: Vec<u8>,
}

static AUTHORITY: LazyLock<PKey<Private>> = LazyLock::new(rsa_key);

impl Pair {
    pub(crate) fn make(wanted: Wanted) -> Self {
        let key = match wanted.suite {
            Suite::Rsa => rsa_key(),
            Suite::Sm => {
                // Generated, the key counts as ECDSA on that curve; read back, as SM2.
                PKey::private_key_from_pkcs8(&PKey::ec_gen("SM2").unwrap().private_key_to_pkcs8().unwrap()).unwrap()
            }
        };
        let certificate_pem = certificate_pem(&key, wanted);
        let key_pem = key
            .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), PASSPHRASE)
            .unwrap();
        Self {
            certificate: Certificate::from_pem(&certificate_pem).unwrap(),
            private: PrivateKey::from_pkcs8_pem(&key_pem, &Passphrase::new(PASSPHRASE.to_vec())).unwrap(),
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

fn rsa_key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn certificate_pem(key: &PKey<Private>, wanted: Wanted) -> Vec<u8> {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "TEST ONLY").unwrap();
    let name = name.build();
    let date = |year: u16| Asn1Time::from_str(&format!("{year}0101000000Z")).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&BigNum::from_hex_str(wanted.serial).unwrap().to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&date(wanted.from_year)).unwrap();
    builder.set_not_after(&date(wanted.to_year)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(&AUTHORITY, MessageDigest::sha256()).unwrap();
    builder.build().to_pem().unwrap()
}

/// A message of the network's that `signer` signed, its fields encrypted for `receiver`.
pub(crate) fn message(signer: &Pair, receiver: &Pair, fields: &[(FieldKind, &str)]) -> Open {
    let signed = b"<root><MsgHeader/><MsgBody/></root>".to_vec();
    let field_key = FieldKey::generate(receiver.certificate.suite()).unwrap();
    let encrypted = fields.iter().map(|(kind, text)| EncryptedField {
        kind: *kind,
        ciphertext: field_key.encrypt(text.as_bytes()),
    });
    Open {
        signature: signer.private.sign(&signed).unwrap(),
        signing_serial: signer.certificate.serial().to_owned(),
        issuer: NETWORK.to_owned(),
        encryption_serial: receiver.certificate.serial().to_owned(),
        envelope: receiver.certificate.seal_envelope(&field_key).unwrap(),
        fields: encrypted.collect(),
        signed,
    }
}

/// The same message without anything encrypted.
pub(crate) fn plain_message(signer: &Pair) -> Open {
    let signed = b"<root><MsgHeader/><MsgBody/></root>".to_vec();
    Open {
        signature: signer.private.sign(&signed).unwrap(),
        signing_serial: signer.certificate.serial().to_owned(),
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
