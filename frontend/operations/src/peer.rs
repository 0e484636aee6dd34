//! Who is at the other end of a call that was served: told by the kernel for a Unix socket, by the certificate that mutual
//! TLS has verified for TCP.
//!
//! Nothing here is what a peer says of itself in a call, and nothing here judges: what an identity may do is the policy of
//! the process that is called.

use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tonic::Extensions;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo, UdsConnectInfo};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Of a subject, in a log line.
const NAME_CHARS_MAX: usize = 64;

/// The verified identity of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerIdentity {
    Unix(UnixPeer),
    Tls(TlsPeer),
}

/// The process that connected to a Unix socket, as the kernel noted it then (`SO_PEERCRED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnixPeer {
    pub user: u32,
    pub group: u32,
    /// Not known on every system, and free for another process once this one has ended: for logs.
    pub process: Option<i32>,
}

/// What the leaf certificate of a TLS client says. It chains to the authority of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPeer {
    /// SHA-256 of the certificate in DER.
    pub fingerprint: Fingerprint,
    /// The last one of the subject.
    pub common_name: Option<String>,
    /// Subject alternative names of the kind DNS, in lower case.
    pub dns_names: Vec<String>,
}

/// SHA-256 of a certificate in DER; written in lower-case hexadecimal, read in either case, colons allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl PeerIdentity {
    /// None when neither the kernel nor a certificate says who it is.
    pub fn of<T>(request: &tonic::Request<T>) -> Option<Self> {
        Self::of_extensions(request.extensions())
    }

    fn of_extensions(extensions: &Extensions) -> Option<Self> {
        if let Some(tls) = extensions.get::<TlsConnectInfo<TcpConnectInfo>>() {
            let certificates = tls.peer_certs()?;
            return TlsPeer::from_der(certificates.first()?).map(Self::Tls);
        }
        let credentials = extensions.get::<UdsConnectInfo>()?.peer_cred?;
        Some(Self::Unix(UnixPeer {
            user: credentials.uid(),
            group: credentials.gid(),
            process: credentials.pid(),
        }))
    }
}

impl TlsPeer {
    /// None when it is no certificate.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let common_name = certificate.subject().iter_common_name().last();
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let names = alternatives.iter().flat_map(|names| &names.value.general_names);
        let dns_names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        Some(Self {
            fingerprint: Fingerprint(Sha256::digest(der).into()),
            common_name: common_name.and_then(|name| name.as_str().ok()).map(str::to_owned),
            dns_names: dns_names.collect(),
        })
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "a fingerprint is 64 hexadecimal digits, with or without colons";
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let (pairs, rest) = digits.as_chunks::<2>();
        if !rest.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(RULE);
        }
        let bytes = pairs.iter().map(|pair| {
            let pair = std::str::from_utf8(pair).map_err(|_| RULE)?;
            u8::from_str_radix(pair, 16).map_err(|_| RULE)
        });
        let bytes: Vec<u8> = bytes.collect::<Result<_, _>>()?;
        bytes.try_into().map(Self).map_err(|_| RULE)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// For logs and records: `uid 1000 pid 4711`, or `certificate <fingerprint> (<common name>)`. A strange subject shows no
/// control character and has an end.
impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(peer) => {
                write!(f, "uid {}", peer.user)?;
                peer.process.map_or(Ok(()), |process| write!(f, " pid {process}"))
            }
            Self::Tls(peer) => {
                write!(f, "certificate {}", peer.fingerprint)?;
                let Some(name) = &peer.common_name else {
                    return Ok(());
                };
                f.write_str(" (")?;
                let shown = |letter: char| if letter.is_control() { '?' } else { letter };
                name.chars()
                    .take(NAME_CHARS_MAX)
                    .try_for_each(|letter| f.write_char(shown(letter)))?;
                f.write_str(")")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_they_are_written_anywhere() {
        #[track_caller]
        fn check(text: &str, good: bool) {
            let read: Result<Fingerprint, _> = text.parse();
            assert_eq!(read.is_ok(), good, "{text}");
        }
        let lower = "0123456789abcdef".repeat(4);
        let colons: Vec<String> = lower
            .as_bytes()
            .chunks(2)
            .map(|pair| String::from_utf8(pair.to_vec()).unwrap())
            .collect();
        check(&lower, true);
        check(&lower.to_ascii_uppercase(), true);
        check(&colons.join(":"), true);
        check(&lower[1..], false);
        check(&format!("{lower}00"), false);
        check(&format!("+{}", &lower[1..]), false);
        check("", false);
        assert_eq!(lower.parse::<Fingerprint>().unwrap().to_string(), lower);
    }

    #[test]
    fn a_strange_subject_does_not_reach_the_log_as_it_is() {
        let peer = TlsPeer {
            fingerprint: Fingerprint([0; 32]),
            common_name: Some(format!("a\nb{}", "c".repeat(99))),
            dns_names: Vec::new(),
        };
        let text = PeerIdentity::Tls(peer).to_string();
        assert!(text.contains("(a?bccc") && text.ends_with("c)"), "{text}");
        assert_eq!(text.chars().count(), "certificate  ()".len() + 64 + NAME_CHARS_MAX);
    }

    #[test]
    fn what_is_no_certificate_is_nobody() {
        assert_eq!(TlsPeer::from_der(b""), None);
        assert_eq!(TlsPeer::from_der(b"\x30\x03\x02\x01\x01"), None);
    }
}
