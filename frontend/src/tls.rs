//! TLS of the network's side: 1.2 and 1.3, mutual, resumption allowed. A client must chain to the configured roots
//! (rustls, during the handshake) and be on the allow list (here, after it, also for a resumed handshake).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerSessionMemoryCache, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::{AllowedClient, Tls};

/// Which clients may speak to us.
#[derive(Debug, Clone)]
pub struct AllowList(Vec<AllowedClient>);

/// A client that is on the list, by the name that stands in the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer(Arc<str>);

#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    #[error("{path} cannot be read as PEM")]
    Pem {
        path: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("{path} holds no certificate")]
    Empty { path: PathBuf },
    #[error("a client root in {path} is refused")]
    Root {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("client verification cannot be set up")]
    Verifier(#[source] VerifierBuilderError),
    #[error("certificate and private key of the server do not fit")]
    Identity(#[source] rustls::Error),
}

/// Why a certificate that rustls accepted is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("the client showed no certificate")]
    NoCertificate,
    #[error("the client's certificate cannot be parsed")]
    Unreadable,
    #[error("the client is not on the allow list")]
    Unlisted,
}

/// HTTP/2 first: one connection then carries many messages at once.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// In a log line; a subject can be as long as its owner likes.
const PEER_NAME_CHARS_MAX: usize = 64;

pub fn server_config(tls: &Tls) -> Result<ServerConfig, TlsFault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for root in certificates(&tls.client_ca)? {
        roots.add(root).map_err(|source| TlsFault::Root {
            path: tls.client_ca.clone(),
            source,
        })?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(TlsFault::Verifier)?;
    let key = PrivateKeyDer::from_pem_file(&tls.private_key).map_err(|source| TlsFault::Pem {
        path: tls.private_key.clone(),
        source,
    })?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsFault::Identity)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&tls.certificate)?, key)
        .map_err(TlsFault::Identity)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    config.session_storage = ServerSessionMemoryCache::new(tls.resumable_max);
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let fault = |source| TlsFault::Pem {
        path: path.to_owned(),
        source,
    };
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(fault)?.collect();
    let certificates = read.map_err(fault)?;
    if certificates.is_empty() {
        return Err(TlsFault::Empty { path: path.to_owned() });
    }
    Ok(certificates)
}

impl AllowList {
    pub fn new(allowed: Vec<AllowedClient>) -> Self {
        Self(allowed)
    }

    /// `chain` is what the handshake left, the client's own certificate first.
    pub fn check(&self, chain: Option<&[CertificateDer<'_>]>) -> Result<Peer, NotAllowed> {
        let leaf = chain.and_then(<[_]>::first).ok_or(NotAllowed::NoCertificate)?;
        let (rest, certificate) = X509Certificate::from_der(leaf).map_err(|_| NotAllowed::Unreadable)?;
        if !rest.is_empty() {
            return Err(NotAllowed::Unreadable);
        }
        let serial = bare_serial(&certificate.raw_serial_as_string());
        // exactly one common name: with two of them, which one counts would be anybody's guess
        let mut names = certificate.subject().iter_common_name();
        let subject = match (names.next(), names.next()) {
            (Some(name), None) => name.as_str().ok(),
            _ => None,
        };
        let fits = |allowed: &AllowedClient| {
            allowed.subject.as_deref().is_none_or(|listed| subject == Some(listed))
                && allowed
                    .serial
                    .as_deref()
                    .is_none_or(|listed| bare_serial(listed) == serial)
        };
        if !self.0.iter().any(fits) {
            return Err(NotAllowed::Unlisted);
        }
        Ok(Peer(
            subject
                .unwrap_or(&serial)
                .chars()
                .take(PEER_NAME_CHARS_MAX)
                .collect::<String>()
                .into(),
        ))
    }
}

impl Peer {
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }

    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Upper case, no colons, no leading zeros: tools write serials in all of these ways.
fn bare_serial(written: &str) -> String {
    let digits: String = written.chars().filter(|digit| *digit != ':').collect();
    digits.trim_start_matches('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};

    /// The name `network` under each of the types.
    fn certificate(types: impl IntoIterator<Item = DnType>, serial: &[u8]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name_type in types {
            params.distinguished_name.push(name_type, "network");
        }
        params.serial_number = Some(SerialNumber::from_slice(serial));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    fn allowed(subject: Option<&str>, serial: Option<&str>) -> AllowedClient {
        AllowedClient {
            subject: subject.map(str::to_owned),
            serial: serial.map(str::to_owned),
        }
    }

    #[test]
    fn by_subject_by_serial_or_both() {
        let network = certificate([DnType::CommonName], &[0x40, 0x00, 0x0a]);
        let check = |listed: AllowedClient, expected: Result<&str, NotAllowed>| {
            let list = AllowList::new(vec![allowed(Some("somebody else"), None), listed.clone()]);
            let found = list.check(Some(std::slice::from_ref(&network)));
            assert_eq!(found, expected.map(Peer::named), "{listed:?}");
        };
        check(allowed(Some("network"), None), Ok("network"));
        check(allowed(Some("Network"), None), Err(NotAllowed::Unlisted));
        check(allowed(Some("networ"), None), Err(NotAllowed::Unlisted));
        check(allowed(None, Some("40000A")), Ok("network"));
        check(allowed(None, Some("00:40:00:0a")), Ok("network"));
        check(allowed(None, Some("40000B")), Err(NotAllowed::Unlisted));
        check(allowed(Some("network"), Some("40000A")), Ok("network"));
        check(allowed(Some("network"), Some("40000B")), Err(NotAllowed::Unlisted));
    }

    #[test]
    fn no_certificate_none_that_parses_none_with_two_names() {
        let list = AllowList::new(vec![allowed(Some("network"), None)]);
        assert_eq!(list.check(None), Err(NotAllowed::NoCertificate));
        assert_eq!(list.check(Some(&[])), Err(NotAllowed::NoCertificate));
        assert_eq!(
            list.check(Some(&[CertificateDer::from(vec![0x30, 0x03, 1, 2, 3])])),
            Err(NotAllowed::Unreadable)
        );
        assert_eq!(list.check(Some(&[certificate(None, &[1])])), Err(NotAllowed::Unlisted));
        let twice = [DnType::CommonName, DnType::CustomDnType(vec![2, 5, 4, 3])];
        assert_eq!(list.check(Some(&[certificate(twice, &[1])])), Err(NotAllowed::Unlisted));
    }
}
