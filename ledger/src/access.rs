//! Who may have the ledger do what.
//!
//! Invariants: a caller is who the kernel or mutual TLS says it is, never who it says it is. Messages of the network may
//! be posted by the user the ledger runs as (over a Unix socket) or by whoever the authority of the peers certified (over
//! TCP). Accounts, agreements, days and adjustments are changed by administrators alone: those the configuration allows,
//! or, where it names none, the user the ledger runs as; over TCP nobody, then.
//!
//! Pure: users are looked up by whoever builds it.

use std::fmt;

use operations::endpoint::{Audience, Endpoint};
use operations::peer::{Fingerprint, PeerIdentity};

/// Of an entry of the list, so that it fits into a record beside an operator's name.
const MARK_BYTES_MAX: usize = 40;
const ROOT: u32 = 0;

#[derive(Debug)]
pub struct Access {
    own_user: u32,
    administrators: Vec<Administrator>,
    audience: Audience,
}

#[derive(Debug)]
struct Administrator {
    mark: Mark,
    /// As records call it.
    written: String,
}

/// By what an administrator is recognised.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    User(u32),
    Certificate(Fingerprint),
    /// A DNS name of its certificate, in lower case.
    Name(String),
}

/// What a peer may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// Post what the network's messages order.
    pub orders: bool,
    /// Who it is, as records call it, where it may administer.
    pub administrator: Option<String>,
}

/// What the list is read against.
pub struct Surroundings<'a> {
    pub listen: &'a Endpoint,
    /// The user this process runs as.
    pub own_user: u32,
    /// The number of a user.
    pub user_named: &'a dyn Fn(&str) -> Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessFault {
    #[error(
        "{0:?} allows nobody: write user:NAME or user:NUMBER for a Unix socket, name:DNS-NAME or sha256:FINGERPRINT of a certificate for TCP"
    )]
    Form(String),
    #[error("{0}: a Unix socket knows users, a TCP endpoint certificates")]
    OtherEndpoint(String),
    #[error("{0}: there is no such user")]
    NoSuchUser(String),
    #[error("{0}: longer than {MARK_BYTES_MAX} bytes")]
    TooLong(String),
}

impl Access {
    /// `allow` as the configuration writes it; `None` where it says nothing.
    pub fn new(allow: Option<&[String]>, around: &Surroundings<'_>) -> Result<Self, AccessFault> {
        let own_user = around.own_user;
        let administrators = match (allow, around.listen) {
            (Some(allow), _) => {
                let read = allow.iter().map(|written| Administrator::read(written, around));
                read.collect::<Result<Vec<_>, _>>()?
            }
            (None, Endpoint::Unix(_)) => vec![Administrator {
                mark: Mark::User(own_user),
                written: format!("user:{own_user}"),
            }],
            (None, Endpoint::Tcp(_)) => Vec::new(),
        };
        let others = administrators.iter().any(|administrator| match administrator.mark {
            Mark::User(user) => user != own_user && user != ROOT,
            Mark::Certificate(_) | Mark::Name(_) => false,
        });
        Ok(Self {
            own_user,
            administrators,
            // each call is judged, so the file system need not
            audience: if others { Audience::Everybody } else { Audience::Owner },
        })
    }

    /// For the user the ledger runs as, and for nobody else.
    pub fn of_owner() -> Self {
        let own_user = own_user();
        Self {
            own_user,
            administrators: vec![Administrator {
                mark: Mark::User(own_user),
                written: format!("user:{own_user}"),
            }],
            audience: Audience::Owner,
        }
    }

    /// For whom the file system has to open the socket.
    pub const fn audience(&self) -> Audience {
        self.audience
    }

    /// `None`: nobody it knows.
    pub fn rights(&self, peer: &PeerIdentity) -> Option<Rights> {
        let orders = match peer {
            PeerIdentity::Unix(unix) => unix.user == self.own_user || unix.user == ROOT,
            PeerIdentity::Tls(_) => true,
        };
        let mut administrators = self.administrators.iter();
        let administrator = administrators.find(|administrator| administrator.mark.is_of(peer));
        let administrator = administrator.map(|administrator| administrator.written.clone());
        (orders || administrator.is_some()).then_some(Rights { orders, administrator })
    }
}

/// The user this process runs as.
pub fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// By the system's own rules.
pub fn user_named(name: &str) -> Option<u32> {
    Some(nix::unistd::User::from_name(name).ok()??.uid.as_raw())
}

impl Administrator {
    fn read(written: &str, around: &Surroundings<'_>) -> Result<Self, AccessFault> {
        let form = || AccessFault::Form(written.to_owned());
        let (kind, value) = written.split_once(':').ok_or_else(form)?;
        let mark = match kind {
            _ if value.is_empty() => return Err(form()),
            "user" => {
                let number = value.parse().ok().or_else(|| (around.user_named)(value));
                Mark::User(number.ok_or_else(|| AccessFault::NoSuchUser(written.to_owned()))?)
            }
            "name" => Mark::Name(value.to_ascii_lowercase()),
            "sha256" => Mark::Certificate(value.parse().map_err(|_| form())?),
            _ => return Err(form()),
        };
        match (around.listen, &mark) {
            (Endpoint::Unix(_), Mark::User(_)) | (Endpoint::Tcp(_), Mark::Certificate(_) | Mark::Name(_)) => {}
            (Endpoint::Unix(_) | Endpoint::Tcp(_), _) => return Err(AccessFault::OtherEndpoint(written.to_owned())),
        }
        // of a fingerprint so much that it is told from the others
        let written = match &mark {
            Mark::Certificate(fingerprint) => format!("sha256:{fingerprint}").chars().take(MARK_BYTES_MAX).collect(),
            Mark::User(_) | Mark::Name(_) => written.to_owned(),
        };
        if written.len() > MARK_BYTES_MAX || written.chars().any(char::is_control) {
            return Err(AccessFault::TooLong(written));
        }
        Ok(Self { mark, written })
    }
}

impl Mark {
    fn is_of(&self, peer: &PeerIdentity) -> bool {
        match (self, peer) {
            (Self::User(user), PeerIdentity::Unix(peer)) => peer.user == *user,
            (Self::Certificate(fingerprint), PeerIdentity::Tls(peer)) => peer.fingerprint == *fingerprint,
            (Self::Name(name), PeerIdentity::Tls(peer)) => peer.dns_names.contains(name),
            (Self::User(_), PeerIdentity::Tls(_)) | (Self::Certificate(_) | Self::Name(_), PeerIdentity::Unix(_)) => {
                false
            }
        }
    }
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Surroundings({}, user {})", self.listen, self.own_user)
    }
}

#[cfg(test)]
mod tests {
    use operations::endpoint::TlsAddress;
    use operations::peer::{TlsPeer, UnixPeer};

    use super::*;

    const OWN: u32 = 900;
    const OPS: u32 = 1001;

    fn unix() -> Endpoint {
        Endpoint::unix("ledger.sock")
    }

    fn tcp() -> Endpoint {
        Endpoint::Tcp(TlsAddress {
            address: "127.0.0.1:7001".parse().unwrap(),
            certificate: "c".into(),
            private_key: "k".into(),
            peer_ca: "p".into(),
            server_name: "ledger".to_owned(),
        })
    }

    fn access(listen: &Endpoint, allow: Option<&[&str]>) -> Result<Access, AccessFault> {
        let allow: Option<Vec<String>> = allow.map(|allow| allow.iter().map(|entry| (*entry).to_owned()).collect());
        let around = Surroundings {
            listen,
            own_user: OWN,
            user_named: &|name| (name == "ops").then_some(OPS),
        };
        Access::new(allow.as_deref(), &around)
    }

    fn user(user: u32) -> PeerIdentity {
        PeerIdentity::Unix(UnixPeer {
            user,
            group: 0,
            process: None,
        })
    }

    fn certificate(byte: u8, name: &str) -> PeerIdentity {
        PeerIdentity::Tls(TlsPeer {
            fingerprint: Fingerprint([byte; 32]),
            common_name: None,
            dns_names: vec![name.to_owned()],
        })
    }

    /// Whether it may order, and as whom it may administer.
    #[track_caller]
    fn check(access: &Access, peer: &PeerIdentity, expected: Option<(bool, Option<&str>)>) {
        let rights = access.rights(peer);
        let told = rights
            .as_ref()
            .map(|rights| (rights.orders, rights.administrator.as_deref()));
        assert_eq!(told, expected, "{peer}");
    }

    #[test]
    fn over_a_unix_socket_users_count() {
        let silent = access(&unix(), None).unwrap();
        check(&silent, &user(OWN), Some((true, Some("user:900"))));
        check(&silent, &user(0), Some((true, None)));
        check(&silent, &user(OPS), None);
        check(&silent, &certificate(1, "ops.bank"), Some((true, None)));
        assert_eq!(silent.audience(), Audience::Owner);

        let apart = access(&unix(), Some(&["user:ops", "user:1002"])).unwrap();
        check(&apart, &user(OWN), Some((true, None)));
        check(&apart, &user(OPS), Some((false, Some("user:ops"))));
        check(&apart, &user(1002), Some((false, Some("user:1002"))));
        check(&apart, &user(1003), None);
        assert_eq!(apart.audience(), Audience::Everybody);

        let nobody = access(&unix(), Some(&[])).unwrap();
        check(&nobody, &user(OWN), Some((true, None)));
        assert_eq!(nobody.audience(), Audience::Owner);
    }

    #[test]
    fn over_tcp_certificates_count() {
        let fingerprint = "01".repeat(32);
        let silent = access(&tcp(), None).unwrap();
        check(&silent, &certificate(1, "frontend.bank"), Some((true, None)));
        let by_print = format!("sha256:{fingerprint}");
        let named = access(&tcp(), Some(&[&by_print, "name:Ops.bank"])).unwrap();
        check(&named, &certificate(2, "frontend.bank"), Some((true, None)));
        check(&named, &certificate(2, "ops.bank"), Some((true, Some("name:Ops.bank"))));
        let told = &by_print[..MARK_BYTES_MAX];
        check(&named, &certificate(1, "frontend.bank"), Some((true, Some(told))));
        assert_eq!(named.audience(), Audience::Owner);
    }

    #[test]
    fn what_allows_nobody_is_refused() {
        #[track_caller]
        fn check(listen: &Endpoint, entry: &str, expected: &str) {
            let fault = access(listen, Some(&[entry])).unwrap_err().to_string();
            assert!(fault.contains(expected), "{entry}: {fault}");
        }
        check(&unix(), "ops", "allows nobody");
        check(&unix(), "user:", "allows nobody");
        check(&unix(), "group:ops", "allows nobody");
        check(&unix(), "user:stranger", "no such user");
        check(&unix(), "name:ops.bank", "a Unix socket knows users");
        check(&tcp(), "user:ops", "a Unix socket knows users");
        check(&tcp(), "sha256:12", "allows nobody");
        check(&tcp(), &format!("name:{}", "a".repeat(40)), "longer than 40 bytes");
    }
}
