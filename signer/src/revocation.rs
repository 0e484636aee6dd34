//! Revocation lists: X.509 CRLs of issuers whose certificates the configuration names.
//!
//! A list counts when its issuer's certificate signed it; it revokes certificates of that issuer's name and nobody
//! else's. One whose next update is past is applied all the same, and reported. What a list says that is not understood
//! here (a delta, entries of other issuers) refuses it as a whole: half a list is no list. Chains are not built.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use signer_crypto::{Certificate, CertificateFault, Suite};
use thiserror::Error;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::config::RevocationListEntry;

/// Some hundred thousand entries.
const FILE_BYTES_MAX: u64 = 16 << 20;
const PEM_HEAD: &[u8] = b"-----BEGIN";
const PEM_LABEL: &str = "X509 CRL";
const SHA256_WITH_RSA: &str = "1.2.840.113549.1.1.11";
const SM3_WITH_SM2: &str = "1.2.156.10197.1.501";
/// The one critical extension that may stand in a list: which part of an issuer's certificates it is about.
const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";

/// Why a revocation list is not taken up.
#[derive(Debug, Error)]
pub enum RevocationFault {
    #[error("{path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge { path: PathBuf },
    #[error("issuer certificate {path} is refused")]
    IssuerCertificate { path: PathBuf, source: CertificateFault },
    #[error("revocation list {path} is refused")]
    List { path: PathBuf, source: ListFault },
}

/// What is wrong with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ListFault {
    #[error("not an X.509 revocation list")]
    NotAList,
    #[error("it is not the issuer's whose certificate is configured")]
    AnotherIssuer,
    #[error("it is not signed with SHA-256 and RSA, or SM3 and SM2, as the issuer's key is")]
    Algorithm,
    #[error("its signature does not hold")]
    Signature,
    #[error("it has a critical extension that is not understood")]
    Critical,
}

/// A list whose signature held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RevocationList {
    issuer: Vec<u8>,
    /// As certificates write them: upper-case hexadecimal, no leading zeros.
    serials: BTreeSet<String>,
    next_update: Option<i64>,
}

impl RevocationList {
    pub(crate) fn load(entry: &RevocationListEntry) -> Result<Self, RevocationFault> {
        let issuer = Certificate::from_pem(&read(&entry.issuer_certificate)?).map_err(|source| {
            let path = entry.issuer_certificate.clone();
            RevocationFault::IssuerCertificate { path, source }
        })?;
        Self::of(&read(&entry.file)?, &issuer).map_err(|source| RevocationFault::List {
            path: entry.file.clone(),
            source,
        })
    }

    /// Of PEM or DER.
    fn of(bytes: &[u8], issuer: &Certificate) -> Result<Self, ListFault> {
        if !bytes.starts_with(PEM_HEAD) {
            return Self::of_der(bytes, issuer);
        }
        let (_, pem) = x509_parser::pem::parse_x509_pem(bytes).map_err(|_| ListFault::NotAList)?;
        if pem.label != PEM_LABEL {
            return Err(ListFault::NotAList);
        }
        Self::of_der(&pem.contents, issuer)
    }

    fn of_der(der: &[u8], issuer: &Certificate) -> Result<Self, ListFault> {
        let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| ListFault::NotAList)?;
        if !rest.is_empty() {
            return Err(ListFault::NotAList);
        }
        if list.issuer().as_raw() != issuer.subject() {
            return Err(ListFault::AnotherIssuer);
        }
        let algorithm = match issuer.suite() {
            Suite::Rsa => SHA256_WITH_RSA,
            Suite::Sm => SM3_WITH_SM2,
        };
        let named = [&list.signature_algorithm, &list.tbs_cert_list.signature];
        if named.iter().any(|named| named.algorithm.to_id_string() != algorithm) {
            return Err(ListFault::Algorithm);
        }
        issuer
            .verify(list.tbs_cert_list.as_ref(), &list.signature_value.data)
            .map_err(|_| ListFault::Signature)?;
        let revoked = || list.iter_revoked_certificates();
        let not_understood = list
            .extensions()
            .iter()
            .any(|extension| extension.critical && extension.oid.to_id_string() != ISSUING_DISTRIBUTION_POINT);
        if not_understood || revoked().any(|entry| entry.extensions().iter().any(|extension| extension.critical)) {
            return Err(ListFault::Critical);
        }
        let serials = revoked().map(|entry| entry.serial().to_str_radix(16).to_ascii_uppercase());
        Ok(Self {
            issuer: issuer.subject().to_vec(),
            serials: serials.collect(),
            next_update: list.next_update().map(|time| time.timestamp()),
        })
    }

    /// The name of whose certificates it is about, in DER.
    pub(crate) fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    pub(crate) fn names(&self, serial: &str) -> bool {
        self.serials.contains(serial)
    }

    /// When its issuer means to have replaced it, in Unix time.
    pub(crate) const fn next_update(&self) -> Option<i64> {
        self.next_update
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RevocationFault> {
    let fault = |source| RevocationFault::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(fault)?;
    let mut content = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(fault)?;
    if u64::try_from(content.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
        return Err(RevocationFault::TooLarge { path: path.to_owned() });
    }
    Ok(content)
}
