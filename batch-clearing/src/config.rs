//! `batch-clearing.toml`.

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

use ledger_model::InstitutionId;
use operations::config::ConfigFault;
use operations::endpoint::Endpoint;
use serde::{Deserialize, Deserializer};

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This bank.
    #[serde(deserialize_with = "from_text")]
    pub bank: InstitutionId,
    /// Connection string of PostgreSQL, as a URL or as keys and values. May hold a password: never shown.
    pub postgres: String,
    pub ledger: Endpoint,
    /// Absent: the ledger's own journal stream is the only source, and two copies are compared instead of three.
    pub kafka: Option<KafkaTopic>,
    pub operations: Operations,
    #[serde(default)]
    pub replicate: Replicate,
    #[serde(default)]
    pub statement: StatementLayout,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaTopic {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    pub topic: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    pub address: SocketAddr,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Replicate {
    /// Records in one transaction, at the most.
    pub chunk_records_max: usize,
    /// The longest a record waits for others before it is committed.
    pub commit_every_ms: u64,
}

/// How the network's clearing files look. The layout is the network's, so all of it can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatementLayout {
    /// What follows the batch id in a detail file's name.
    pub detail_suffix: String,
    /// What follows the batch id in the name of the one file inside the archive.
    pub text_suffix: String,
    pub notice_name: String,
    pub separator: char,
    /// First field of the trailer line.
    pub trailer: String,
    pub columns: Columns,
    /// Columns that may be there and are not read. Any other unknown column makes the file a bad one.
    pub columns_ignored: Vec<String>,
    /// Size of an encrypted detail file, and of the notice, at the most.
    pub file_bytes_max: u64,
    /// Size of the text inside a detail file, at the most.
    pub text_bytes_max: u64,
}

/// Names of the columns in the header line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    pub batch: String,
    pub transfer: String,
    pub category: String,
    pub amount: String,
    pub direction: String,
    pub payer_institution: String,
    pub payee_institution: String,
    pub institution: String,
    pub status: String,
    pub finished_at: String,
    pub bank_serial: String,
}

impl Config {
    pub fn load(path: &Path) -> Result<Self, ConfigFault> {
        let config: Self = operations::config::load(path)?;
        let refused = |reason: &str| ConfigFault::Refused {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        if config.postgres.parse::<tokio_postgres::Config>().is_err() {
            return Err(refused("postgres is not a connection string"));
        }
        if config.replicate.chunk_records_max == 0 {
            return Err(refused("replicate.chunk_records_max is at least 1"));
        }
        Ok(config)
    }
}

impl Default for Replicate {
    fn default() -> Self {
        Self {
            chunk_records_max: 4096,
            commit_every_ms: 50,
        }
    }
}

impl Default for StatementLayout {
    fn default() -> Self {
        Self {
            detail_suffix: "_01_01.zip.sec".to_owned(),
            text_suffix: "_01_01.txt".to_owned(),
            notice_name: "clearing-notice.xml".to_owned(),
            separator: '|',
            trailer: "TOTAL".to_owned(),
            columns: Columns::default(),
            columns_ignored: Vec::new(),
            file_bytes_max: 256 << 20,
            text_bytes_max: 2 << 30,
        }
    }
}

impl Default for Columns {
    fn default() -> Self {
        let name = str::to_owned;
        Self {
            batch: name("BatchId"),
            transfer: name("TrxId"),
            category: name("TrxCtgy"),
            amount: name("TrxAmt"),
            direction: name("DC"),
            payer_institution: name("PyerAcctIssrId"),
            payee_institution: name("PyeeAcctIssrId"),
            institution: name("InstgId"),
            status: name("TrxStatus"),
            finished_at: name("TrxFinishTm"),
            bank_serial: name("BankSerial"),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("bank", &self.bank)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"
        bank = "C1030131001234"
        postgres = "postgres://clearing@127.0.0.1:15432/clearing"
        ledger = "unix:/run/ledger.sock"
        operations.address = "127.0.0.1:9104"
    "#;

    fn check(addition: &str, expected: Result<(), &str>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("batch-clearing.toml");
        std::fs::write(&path, format!("{LEAST}{addition}")).unwrap();
        match (Config::load(&path), expected) {
            (Ok(_), Ok(())) => {}
            (Err(fault), Err(part)) => assert!(fault.to_string().contains(part), "{fault}"),
            (outcome, expected) => panic!("{addition}: {outcome:?} where {expected:?}"),
        }
    }

    #[test]
    fn what_is_taken_and_what_is_refused() {
        check("", Ok(()));
        check(
            "[kafka]\nbrokers = \"127.0.0.1:19092\"\ntopic = \"ledger.journal\"",
            Ok(()),
        );
        check("[statement.columns]\namount = \"Amount\"", Ok(()));
        check("[statement]\nseperator = \";\"", Err("unknown field `seperator`"));
        check("[replicate]\nchunk_records_max = 0", Err("at least 1"));
        check("[kafka]\nbrokers = \"127.0.0.1:19092\"", Err("missing field `topic`"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let config: Result<Config, _> = {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("batch-clearing.toml");
            std::fs::write(&path, LEAST.replace("clearing@", "clearing:secret@")).unwrap();
            Config::load(&path)
        };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
