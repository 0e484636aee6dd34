//! Where a shard group is and how it is reached: hosts, user, TLS, and how long a call may take.
//!
//! Every session is set the same way, whatever the server's configuration says: no statement outlives the caller's patience,
//! plans are made once and go by the primary keys, a commit is on disk (and on the standbys that the server waits for)
//! when it returns.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

/// A database call takes no longer, where nothing else is said.
pub const CALL_LIMIT: Duration = Duration::from_secs(1);
/// Rows changed and not yet written to their table, by shard. Each is about 250 bytes in memory.
const PENDING_ROWS_MAX: usize = 1 << 17;
/// Rows held in memory as they stand in the table, by shard.
const REMEMBERED_ROWS_MAX: usize = 1 << 17;

/// A server of the group: a name or an address, or the directory of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub port: u16,
}

/// Never shown.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// A primary with its standbys: whichever takes writes is used.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    pub name: String,
    pub hosts: Vec<Host>,
    pub database: String,
    pub user: String,
    pub password: Option<Password>,
    /// Certificates, PEM, one of which vouches for the servers. Absent: no TLS.
    pub tls_authorities: Option<Vec<u8>>,
    /// Of any call, connecting included.
    pub call_limit: Duration,
    /// How long idempotency records and daily sums are kept.
    pub kept_days: u32,
    /// Rows changed and not yet written to their table, for each shard: what another process, or the next one, has to
    /// read from the journal before it can go on.
    pub pending_rows_max: usize,
    pub remembered_rows_max: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsFault {
    #[error("the certificates that vouch for the servers do not read")]
    Authorities(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("there is no certificate that vouches for the servers")]
    NoAuthority,
}

impl Password {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl GroupSettings {
    /// One server, no password, no TLS, usual limits.
    pub fn of(name: &str, host: Host, database: &str, user: &str) -> Self {
        Self {
            name: name.to_owned(),
            hosts: vec![host],
            database: database.to_owned(),
            user: user.to_owned(),
            password: None,
            tls_authorities: None,
            call_limit: CALL_LIMIT,
            kept_days: crate::store::embedded::KEPT_DAYS,
            pending_rows_max: PENDING_ROWS_MAX,
            remembered_rows_max: REMEMBERED_ROWS_MAX,
        }
    }

    /// Whether a session could be asked for.
    pub fn check(&self) -> Result<(), SettingsFault> {
        self.tls().map(|_| ())
    }

    /// How a session is asked for. Hosts are tried in order; one that only reads is passed over.
    pub(super) fn driver(&self) -> tokio_postgres::Config {
        let mut driver = tokio_postgres::Config::new();
        for host in &self.hosts {
            driver.host(&host.name).port(host.port);
        }
        let hosts = u32::try_from(self.hosts.len().max(1)).unwrap_or(u32::MAX);
        driver
            .dbname(&self.database)
            .user(&self.user)
            .application_name("ledger")
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .load_balance_hosts(LoadBalanceHosts::Disable)
            .connect_timeout(self.call_limit / hosts)
            .tcp_user_timeout(self.call_limit)
            .ssl_mode(if self.tls_authorities.is_some() {
                SslMode::Require
            } else {
                SslMode::Disable
            })
            .options(session(self.call_limit));
        if let Some(Password(password)) = &self.password {
            driver.password(password.as_bytes());
        }
        driver
    }

    /// `None` where TLS is not wanted.
    pub(super) fn tls(&self) -> Result<Option<MakeRustlsConnect>, SettingsFault> {
        let Some(pem) = &self.tls_authorities else {
            return Ok(None);
        };
        let fault = |source: Box<dyn std::error::Error + Send + Sync>| SettingsFault::Authorities(source);
        let mut authorities = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|source| fault(Box::new(source)))?;
            authorities.add(certificate).map_err(|source| fault(Box::new(source)))?;
        }
        if authorities.is_empty() {
            return Err(SettingsFault::NoAuthority);
        }
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| fault(Box::new(source)))?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        Ok(Some(MakeRustlsConnect::new(client)))
    }
}

/// Plans: everything is found by primary key, whatever the statistics say of tables that were empty a moment ago.
/// The statement's limit does not touch a commit that waits for a standby; see the module's documentation.
fn session(limit: Duration) -> String {
    let millis = limit.as_millis().max(1);
    format!(
        "-c search_path=ledger -c statement_timeout={millis} -c lock_timeout={millis} \
         -c idle_in_transaction_session_timeout={idle} -c synchronous_commit=on -c client_min_messages=warning \
         -c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off -c enable_bitmapscan=off \
         -c enable_hashjoin=off -c enable_mergejoin=off -c enable_material=off -c enable_memoize=off",
        idle = 2 * millis
    )
}
