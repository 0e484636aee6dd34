//! The configuration file of the ledger.

mod group;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ledger_model::{InstitutionId, NameFault, ShardCount, TransferCategory};
use operations::config::{ConfigFault, load, resolve};
use operations::endpoint::{Endpoint, TlsAddress};
use serde::Deserialize;

use crate::access::{Access, AccessFault, Surroundings, own_user, user_named};
use crate::calendar::{self, Calendar};
use crate::hopping::settings::{Hopping, WrittenHopping};
use crate::shard::{CALM_GROUPS, ShardLimits};
use crate::shipping::{KafkaSettings, LagLimits};
use crate::store::embedded::KEPT_DAYS;

pub use self::group::ShardGroups;
use self::group::WrittenGroup;

const KEPT_DAYS_MAX: u32 = 3660;

/// Checked, with defaults filled in and paths resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it was read from; what was written to it since does not hold, but for groups that are added.
    pub file: PathBuf,
    pub listen: Endpoint,
    pub directory: PathBuf,
    pub shards: ShardCount,
    pub limits: ShardLimits,
    /// Log of a shard between two snapshots of its store, in bytes.
    pub snapshot_bytes: u64,
    pub operations: SocketAddr,
    /// Absent: the stores are in the directory.
    pub groups: Option<ShardGroups>,
    pub hopping: Hopping,
    /// Absent: nothing is shipped.
    pub kafka: Option<Kafka>,
    /// Who may administer; absent: the user the ledger runs as, over TCP nobody.
    pub administrators: Option<Vec<String>>,
    /// Absent: nothing is adjusted.
    pub adjustments: Option<Adjustments>,
    /// Absent: the bank has none, and nothing is said of working days.
    pub calendar: Option<Calendar>,
    pub log: String,
}

/// In whose name the bank orders adjustments, and as what kind of transfer.
#[derive(Debug, Clone, Copy)]
pub struct Adjustments {
    pub bank: InstitutionId,
    pub reversal_category: TransferCategory,
    pub supplement_category: TransferCategory,
}

#[derive(Debug, Clone)]
pub struct Kafka {
    pub settings: KafkaSettings,
    pub lag_limits: LagLimits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    listen: Endpoint,
    directory: PathBuf,
    #[serde(default = "shards")]
    shards: u8,
    #[serde(default = "queue_max")]
    queue_max: usize,
    #[serde(default = "commit_batch_max")]
    commit_batch_max: usize,
    #[serde(default = "kept_days")]
    kept_days: u32,
    #[serde(default = "snapshot_mib")]
    snapshot_mib: u32,
    #[serde(default = "log")]
    log: String,
    operations: WrittenOperations,
    kafka: Option<WrittenKafka>,
    administration: Option<WrittenAdministration>,
    adjustments: Option<WrittenAdjustments>,
    calendar: Option<PathBuf>,
    #[serde(default)]
    hopping: WrittenHopping,
    #[serde(default)]
    group: Vec<WrittenGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAdjustments {
    bank: String,
    #[serde(default = "reversal_category")]
    reversal_category: String,
    #[serde(default = "supplement_category")]
    supplement_category: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAdministration {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOperations {
    address: SocketAddr,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKafka {
    brokers: String,
    topic: String,
    #[serde(default = "replication")]
    replication: u16,
    #[serde(default = "lag_alarm_records")]
    lag_alarm_records: u64,
    #[serde(default = "lag_alarm_seconds")]
    lag_alarm_seconds: u64,
}

const fn shards() -> u8 {
    4
}

const fn queue_max() -> usize {
    8192
}

const fn commit_batch_max() -> usize {
    512
}

const fn kept_days() -> u32 {
    KEPT_DAYS
}

const fn snapshot_mib() -> u32 {
    256
}

fn log() -> String {
    "info".to_owned()
}

fn reversal_category() -> String {
    "9001".to_owned()
}

fn supplement_category() -> String {
    "9002".to_owned()
}

const fn replication() -> u16 {
    1
}

const fn lag_alarm_records() -> u64 {
    1_000_000
}

const fn lag_alarm_seconds() -> u64 {
    60
}

/// Reads and checks a configuration file.
pub fn read(path: &Path) -> Result<Config, ConfigFault> {
    let written: Written = load(path)?;
    let refused = |reason: &str| ConfigFault::Refused {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let Written {
        listen,
        directory,
        shards,
        queue_max,
        commit_batch_max,
        kept_days,
        snapshot_mib,
        log,
        operations,
        kafka,
        administration,
        adjustments,
        calendar,
        hopping,
        group,
    } = written;
    let shards = ShardCount::new(shards).ok_or_else(|| refused("shards is from 1 to 64"))?;
    if commit_batch_max == 0 || queue_max < commit_batch_max {
        return Err(refused("commit_batch_max is at least 1 and queue_max not below it"));
    }
    if kept_days == 0 || kept_days > KEPT_DAYS_MAX {
        return Err(refused("kept_days is from 1 to 3660"));
    }
    if snapshot_mib == 0 {
        return Err(refused("snapshot_mib is at least 1"));
    }
    if !operations.address.ip().is_loopback() {
        return Err(refused("operations.address is a loopback address"));
    }
    let hopping = hopping.checked().map_err(refused)?;
    let groups = group::checked(group, path, shards, kept_days).map_err(|reason| refused(&reason))?;
    let kafka = kafka.map(shipped_to).transpose().map_err(refused)?;
    let listen = resolved(path, listen);
    let administrators = administration.map(|administration| administration.allow);
    access(&listen, administrators.as_deref()).map_err(|fault| refused(&fault.to_string()))?;
    let adjustments = adjustments.map(Adjustments::read).transpose();
    let adjustments = adjustments.map_err(|fault| refused(&format!("adjustments: {fault}")))?;
    let calendar = calendar.map(|file| calendar::read(&resolve(path, &file))).transpose()?;
    Ok(Config {
        file: path.to_owned(),
        listen,
        directory: resolve(path, &directory),
        shards,
        limits: ShardLimits {
            queue_max,
            commit_batch_max,
            kept_days,
            calm_groups: CALM_GROUPS,
        },
        snapshot_bytes: u64::from(snapshot_mib) << 20,
        operations: operations.address,
        groups,
        hopping,
        kafka,
        administrators,
        adjustments,
        calendar,
        log,
    })
}

impl Adjustments {
    fn read(written: WrittenAdjustments) -> Result<Self, NameFault> {
        let WrittenAdjustments {
            bank,
            reversal_category,
            supplement_category,
        } = written;
        Ok(Self {
            bank: bank.parse()?,
            reversal_category: reversal_category.parse()?,
            supplement_category: supplement_category.parse()?,
        })
    }
}

fn shipped_to(written: WrittenKafka) -> Result<Kafka, &'static str> {
    let WrittenKafka {
        brokers,
        topic,
        replication,
        lag_alarm_records,
        lag_alarm_seconds,
    } = written;
    if brokers.is_empty() || topic.is_empty() || replication == 0 {
        return Err("kafka.brokers and kafka.topic are not empty, kafka.replication is at least 1");
    }
    if lag_alarm_records == 0 || lag_alarm_seconds == 0 {
        return Err("kafka.lag_alarm_records and kafka.lag_alarm_seconds are at least 1");
    }
    Ok(Kafka {
        settings: KafkaSettings {
            brokers,
            topic,
            replication,
        },
        lag_limits: LagLimits {
            records: lag_alarm_records,
            seconds: lag_alarm_seconds,
        },
    })
}

impl Config {
    /// Who may have the ledger do what.
    pub fn access(&self) -> Result<Access, AccessFault> {
        access(&self.listen, self.administrators.as_deref())
    }
}

fn access(listen: &Endpoint, administrators: Option<&[String]>) -> Result<Access, AccessFault> {
    let around = Surroundings {
        listen,
        own_user: own_user(),
        user_named: &user_named,
    };
    Access::new(administrators, &around)
}

fn resolved(path: &Path, endpoint: Endpoint) -> Endpoint {
    match endpoint {
        Endpoint::Unix(socket) => Endpoint::Unix(resolve(path, &socket)),
        Endpoint::Tcp(tls) => Endpoint::Tcp(TlsAddress {
            certificate: resolve(path, &tls.certificate),
            private_key: resolve(path, &tls.private_key),
            peer_ca: resolve(path, &tls.peer_ca),
            ..tls
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str =
        "listen = \"unix:run/ledger.sock\"\ndirectory = \"data\"\n[operations]\naddress = \"127.0.0.1:9103\"\n";

    fn check(text: &str, expected: Result<(), &str>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.toml");
        std::fs::write(&path, text).unwrap();
        match (read(&path), expected) {
            (Ok(config), Ok(())) => assert_eq!(config.directory, directory.path().join("data")),
            (Err(fault), Err(reason)) => assert!(fault.to_string().contains(reason), "{fault}"),
            (read, _) => panic!("{text}: {read:?}"),
        }
    }

    #[test]
    fn files_are_read_strictly() {
        check(WHOLE, Ok(()));
        check(&format!("shards = 0\n{WHOLE}"), Err("shards is from 1 to 64"));
        check(&format!("shards = 65\n{WHOLE}"), Err("shards is from 1 to 64"));
        check(
            &format!("commit_batch_max = 0\n{WHOLE}"),
            Err("commit_batch_max is at least 1"),
        );
        check(&format!("queue_max = 9\n{WHOLE}"), Err("queue_max not below it"));
        check(&format!("kept_days = 0\n{WHOLE}"), Err("kept_days is from 1"));
        check(&format!("snapshot_mib = 0\n{WHOLE}"), Err("snapshot_mib is at least 1"));
        check(&format!("shard = 4\n{WHOLE}"), Err("unknown field `shard`"));
        check(&WHOLE.replace("127.0.0.1", "0.0.0.0"), Err("loopback"));
        check(
            &format!("{WHOLE}[kafka]\nbrokers = \"127.0.0.1:19092\"\ntopic = \"ledger.journal\"\n"),
            Ok(()),
        );
        check(
            &format!("{WHOLE}[kafka]\nbrokers = \"\"\ntopic = \"t\"\n"),
            Err("not empty"),
        );
        for limit in ["lag_alarm_records", "lag_alarm_seconds"] {
            check(
                &format!("{WHOLE}[kafka]\nbrokers = \"b\"\ntopic = \"t\"\n{limit} = 0\n"),
                Err("are at least 1"),
            );
        }
        check(&format!("{WHOLE}[administration]\nallow = [\"user:0\"]\n"), Ok(()));
        check(
            &format!("{WHOLE}[administration]\nallow = [\"ops\"]\n"),
            Err("allows nobody"),
        );
        check(
            &format!("calendar = \"none.toml\"\n{WHOLE}"),
            Err("none.toml cannot be read"),
        );
        check(&format!("{WHOLE}[adjustments]\nbank = \"C1030131001234\"\n"), Ok(()));
        check(
            &format!("{WHOLE}[adjustments]\nbank = \"C1030131001234\"\nreversal_category = \"9\"\n"),
            Err("adjustments: a transfer category is 4 digits"),
        );
        check("directory = \"data\"", Err("missing field"));
    }
}
