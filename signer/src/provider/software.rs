//! Keys in files of encrypted PKCS#8, decrypted into this process's memory.
//!
//! Not for production where the rules ask for hardware: nothing but this process guards them. The start says so.

use std::path::Path;

use signer_crypto::{Certificate, Passphrase, PrivateKey};

use super::entry::SecretSource;
use crate::key_files::{KeyFileFault, read_secret, secret};

/// The key of a file that only its owner may read, if it is the certificate's.
pub(crate) fn load(
    path: &Path,
    passphrase: &SecretSource,
    certificate: &Certificate,
    certificate_path: &Path,
) -> Result<PrivateKey, KeyFileFault> {
    let mut passphrase = secret(passphrase)?;
    let passphrase = Passphrase::new(std::mem::take(&mut *passphrase));
    let pem = read_secret(path)?;
    let key = PrivateKey::from_pkcs8_pem(&pem, &passphrase).map_err(|source| KeyFileFault::PrivateKey {
        path: path.to_owned(),
        source,
    })?;
    if key.matches(certificate) {
        Ok(key)
    } else {
        Err(KeyFileFault::Mismatch {
            private_key: path.to_owned(),
            certificate: certificate_path.to_owned(),
        })
    }
}
