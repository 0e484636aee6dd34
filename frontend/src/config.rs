//! The configuration file: every limit has a name, a default and a check.
//!
//! Paths in the file are relative to the file. What is checked here is all that can be known without opening a socket;
//! `--check-config` runs the same checks and ends.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger_model::{ChinaTime, Currency, InstitutionId};
use operations::config::{ConfigFault, resolve};
use operations::endpoint::Endpoint;
use serde::{Deserialize, Deserializer};
use signer_protocol::limits::SIGNED_BYTES_MAX;
use signer_protocol::{MEMBERS_MAX, Suite};

/// What an operator writes in `frontend.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// The one path that takes messages.
    #[serde(default = "default_path")]
    pub path: String,
    /// This bank.
    #[serde(deserialize_with = "from_text")]
    pub bank: InstitutionId,
    /// The clearing network, the only institution whose messages are taken.
    #[serde(default = "default_network", deserialize_with = "from_text")]
    pub network: InstitutionId,
    /// The only signer; written instead of `signers`.
    #[serde(default)]
    signer: Option<Endpoint>,
    /// Several that hold the same keys.
    #[serde(default)]
    signers: Vec<Endpoint>,
    pub ledger: Endpoint,
    /// Suite of an answer to a message whose own suite could not be told.
    #[serde(default)]
    pub default_suite: SuiteName,
    #[serde(default = "default_worker_threads")]
    pub worker_threads: usize,
    /// A code table to use instead of the built-in one.
    #[serde(default)]
    pub codes: Option<PathBuf>,
    #[serde(default = "default_log")]
    pub log: String,
    pub operations: Operations,
    pub tls: Tls,
    #[serde(default)]
    pub connections: Connections,
    #[serde(default)]
    pub message: MessageRules,
    #[serde(default)]
    pub admission: AdmissionLimits,
    #[serde(default)]
    pub deadlines: Deadlines,
    #[serde(default)]
    pub clock: ClockRules,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    pub address: SocketAddr,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM, leaf first.
    pub certificate: PathBuf,
    pub private_key: PathBuf,
    /// Roots that client certificates must chain to.
    pub client_ca: PathBuf,
    /// Which of the clients that chain to a root may speak to us.
    pub allowed: Vec<AllowedClient>,
    #[serde(default = "default_handshake_ms")]
    pub handshake_ms: u64,
    /// Earlier handshakes that a client may resume.
    #[serde(default = "default_resumable_max")]
    pub resumable_max: usize,
}

/// One client, by the common name of its subject or by its serial (hexadecimal); where both are written, both must hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedClient {
    #[serde(default)]
    pub subject: Option<String>,
    #[serde(default)]
    pub serial: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Connections {
    pub max: usize,
    /// HTTP/1.1: until the next complete request head, the idle time between two requests included.
    pub header_read_ms: u64,
    /// No request for this long ends a connection of either version.
    pub idle_ms: u64,
    pub header_bytes_max: usize,
    /// HTTP/2: concurrent streams of one connection.
    pub streams_max: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageRules {
    pub body_bytes_max: usize,
    pub body_read_ms: u64,
    pub clock_skew_seconds_max: i64,
    #[serde(deserialize_with = "from_texts")]
    pub currencies: Vec<Currency>,
}

/// Messages in flight. What a class may not fill stays free for the classes before it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionLimits {
    pub in_flight_max: u32,
    /// All but queries: payments, refunds and payouts together.
    pub transfers_max: u32,
    /// New debits.
    pub payments_max: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deadlines {
    /// From the request head to the signed answer.
    pub answer_ms: u64,
    /// The end of it that is kept for signing the answer.
    pub signing_reserve_ms: u64,
    /// From the stop to the end of every connection.
    pub drain_ms: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockRules {
    #[serde(deserialize_with = "from_optional_text")]
    pub also_accept_fixture_time_not_for_production: Option<ChinaTime>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuiteName {
    Rsa,
    #[default]
    Sm,
}

/// What cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum SettingFault {
    #[error(transparent)]
    File(#[from] ConfigFault),
    #[error("{key} must be {rule}")]
    Value { key: &'static str, rule: &'static str },
}

const NETWORK: &str = "G4000311000018";
const ANSWER_MS: u64 = 2_500;
const SIGNING_RESERVE_MS: u64 = 400;
const BODY_BYTES_MAX: usize = 65_536;
const IN_FLIGHT_MAX: u32 = 4_096;
const TRANSFERS_MAX: u32 = 3_584;
const PAYMENTS_MAX: u32 = 3_072;
/// The network queries after 3 s (profile, section 7): an answer later than that helps nobody.
const NETWORK_WAITS_MS: u64 = 3_000;
/// hyper's smallest read buffer.
const HEADER_BYTES_LEAST: usize = 8_192;
const MESSAGES_MAX: u32 = 1_000_000;
const WORKER_THREADS_MAX: usize = 256;

const _: () = assert!(MEMBERS_MAX == 16, "the rule's text says so");
const _: () = assert!(ANSWER_MS < NETWORK_WAITS_MS);
const _: () = assert!(BODY_BYTES_MAX <= SIGNED_BYTES_MAX);
const _: () = assert!(SIGNING_RESERVE_MS < ANSWER_MS);
const _: () = assert!(PAYMENTS_MAX < TRANSFERS_MAX && TRANSFERS_MAX < IN_FLIGHT_MAX);

impl Default for Connections {
    fn default() -> Self {
        Self {
            max: 1_024,
            header_read_ms: 60_000,
            idle_ms: 60_000,
            header_bytes_max: 16_384,
            streams_max: 256,
        }
    }
}

impl Default for MessageRules {
    fn default() -> Self {
        Self {
            body_bytes_max: BODY_BYTES_MAX,
            body_read_ms: 1_500,
            clock_skew_seconds_max: 900,
            currencies: vec![Currency::CNY],
        }
    }
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            in_flight_max: IN_FLIGHT_MAX,
            transfers_max: TRANSFERS_MAX,
            payments_max: PAYMENTS_MAX,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            answer_ms: ANSWER_MS,
            signing_reserve_ms: SIGNING_RESERVE_MS,
            drain_ms: 10_000,
        }
    }
}

impl Deadlines {
    pub const fn answer(&self) -> Duration {
        Duration::from_millis(self.answer_ms)
    }

    pub const fn signing_reserve(&self) -> Duration {
        Duration::from_millis(self.signing_reserve_ms)
    }

    pub const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}

impl From<SuiteName> for Suite {
    fn from(name: SuiteName) -> Self {
        match name {
            SuiteName::Rsa => Self::Rsa,
            SuiteName::Sm => Self::Sm,
        }
    }
}

impl Config {
    /// Reads, checks, and makes every path absolute or relative to the working directory.
    pub fn load(file: &Path) -> Result<Self, SettingFault> {
        let mut config: Self = operations::config::load(file)?;
        config.check()?;
        let place = |path: &mut PathBuf| *path = resolve(file, path);
        place(&mut config.tls.certificate);
        place(&mut config.tls.private_key);
        place(&mut config.tls.client_ca);
        config.codes.as_mut().map(place);
        config.signers.extend(config.signer.take());
        for endpoint in config.signers.iter_mut().chain([&mut config.ledger]) {
            match endpoint {
                Endpoint::Unix(path) => place(path),
                Endpoint::Tcp(tls) => {
                    place(&mut tls.certificate);
                    place(&mut tls.private_key);
                    place(&mut tls.peer_ca);
                }
            }
        }
        Ok(config)
    }

    /// One or more.
    pub fn signers(&self) -> &[Endpoint] {
        &self.signers
    }

    /// The signers are named in one of two ways.
    fn check_signers(&self) -> Result<(), SettingFault> {
        let (key, rule) = match (&self.signer, self.signers.len()) {
            (Some(_), 0) | (None, 1..=MEMBERS_MAX) => return Ok(()),
            (None, 0) | (Some(_), _) => ("signer", "one endpoint, or signers a list of them"),
            (None, _) => ("signers", "a list of at most 16 endpoints"),
        };
        Err(SettingFault::Value { key, rule })
    }

    /// Relations between limits, in one list.
    fn check(&self) -> Result<(), SettingFault> {
        self.check_signers()?;
        let limits = &self.admission;
        let rules = [
            (self.path.starts_with('/'), "path", "absolute, such as /preSvr"),
            (
                (1..=WORKER_THREADS_MAX).contains(&self.worker_threads),
                "worker_threads",
                "between 1 and 256",
            ),
            (!self.tls.allowed.is_empty(), "tls.allowed", "at least one client"),
            (
                self.tls.allowed.iter().all(AllowedClient::says_something),
                "tls.allowed",
                "a subject or a serial each",
            ),
            (self.connections.max > 0, "connections.max", "more than 0"),
            (
                self.connections.header_bytes_max >= HEADER_BYTES_LEAST,
                "connections.header_bytes_max",
                "at least 8192",
            ),
            (
                (1..=SIGNED_BYTES_MAX).contains(&self.message.body_bytes_max),
                "message.body_bytes_max",
                "between 1 and 65536",
            ),
            (
                !self.message.currencies.is_empty(),
                "message.currencies",
                "at least one currency",
            ),
            (
                self.message.clock_skew_seconds_max > 0,
                "message.clock_skew_seconds_max",
                "more than 0",
            ),
            (
                limits.in_flight_max <= MESSAGES_MAX,
                "admission.in_flight_max",
                "at most 1000000",
            ),
            (limits.payments_max > 0, "admission.payments_max", "more than 0"),
            (
                limits.payments_max < limits.transfers_max,
                "admission.payments_max",
                "less than admission.transfers_max",
            ),
            (
                limits.transfers_max < limits.in_flight_max,
                "admission.transfers_max",
                "less than admission.in_flight_max",
            ),
            (
                self.deadlines.signing_reserve_ms < self.deadlines.answer_ms,
                "deadlines.signing_reserve_ms",
                "less than deadlines.answer_ms",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, rule)) => Err(SettingFault::Value { key, rule }),
            None => Ok(()),
        }
    }
}

impl AllowedClient {
    const fn says_something(&self) -> bool {
        self.subject.is_some() || self.serial.is_some()
    }
}

fn default_path() -> String {
    "/preSvr".to_owned()
}

fn default_network() -> InstitutionId {
    NETWORK.parse().expect("the constant has the form of an institution")
}

const fn default_worker_threads() -> usize {
    2
}

fn default_log() -> String {
    "info".to_owned()
}

const fn default_handshake_ms() -> u64 {
    5_000
}

const fn default_resumable_max() -> usize {
    4_096
}

fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}

fn from_optional_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    from_text(deserializer).map(Some)
}

fn from_texts<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .collect()
}

#[cfg(test)]
mod tests;
