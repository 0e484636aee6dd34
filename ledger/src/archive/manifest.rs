//! Manifests: what the archive of one business date added, file by file, as JSON that people read too.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;
use std::str::FromStr;

use ledger_journal::{ChainHash, ChainPosition};
use ledger_model::{BusinessDate, ChinaTime, ShardCount, ShardId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{ArchiveFault, at, give_name};

const FORM: u32 = 1;
const BEFORE_DATE: &str = "through-";
const AFTER_DATE: &str = ".json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    form: u32,
    #[serde(serialize_with = "told", deserialize_with = "parsed")]
    pub(super) through: BusinessDate,
    /// Of every shard, in order.
    shards: Vec<OfShard>,
}

/// What a date added to one shard's archive; no file where an earlier one had come as far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfShard {
    shard: u8,
    pub(super) parts: Vec<PartFacts>,
}

/// What is in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartFacts {
    pub name: String,
    pub first: u64,
    pub last: u64,
    /// Hash of the record before the first.
    #[serde(serialize_with = "hash_told", deserialize_with = "hash_parsed")]
    pub previous: ChainHash,
    /// Hash of the last record.
    #[serde(serialize_with = "hash_told", deserialize_with = "hash_parsed")]
    pub head: ChainHash,
    #[serde(serialize_with = "told", deserialize_with = "parsed")]
    pub committed_from: ChinaTime,
    #[serde(serialize_with = "told", deserialize_with = "parsed")]
    pub committed_to: ChinaTime,
    /// The business date its last record closed, where it closed one.
    #[serde(serialize_with = "perhaps_told", deserialize_with = "perhaps_parsed")]
    pub closes: Option<BusinessDate>,
    /// Records with evidence.
    pub evidence: u64,
    /// Of the file.
    pub bytes: u64,
    /// Of the file, hexadecimal.
    pub sha256: String,
}

impl PartFacts {
    /// Where a journal has come with its last record.
    pub const fn ends(&self, shard: ShardId) -> ChainPosition {
        ChainPosition {
            shard,
            sequence: self.last,
            head: self.head,
        }
    }
}

impl Manifest {
    pub(super) fn new(through: BusinessDate, mut parts: BTreeMap<u8, Vec<PartFacts>>, shards: ShardCount) -> Self {
        let of_shard = |shard: ShardId| OfShard {
            shard: shard.number(),
            parts: parts.remove(&shard.number()).unwrap_or_default(),
        };
        Self {
            form: FORM,
            through,
            shards: shards.all().map(of_shard).collect(),
        }
    }

    pub(super) fn of(&self, shard: ShardId) -> Option<&OfShard> {
        self.shards.get(shard.index())
    }

    const fn out_of_order(&self, what: &'static str) -> ArchiveFault {
        ArchiveFault::Order {
            through: self.through,
            what,
        }
    }

    pub(super) fn shard_count(&self) -> Result<ShardCount, ArchiveFault> {
        let in_order = (0..).zip(&self.shards).all(|(number, of)| of.shard == number);
        let count = u8::try_from(self.shards.len()).ok().and_then(ShardCount::new);
        count
            .filter(|_| in_order && self.form == FORM)
            .ok_or_else(|| self.out_of_order("it is not a manifest of this form"))
    }

    /// Of one shard, whose archive had come to `position`.
    pub(super) fn follows(&self, mut position: ChainPosition) -> Result<(), ArchiveFault> {
        for part in self.of(position.shard).iter().flat_map(|of| &of.parts) {
            let begins = (part.first, part.previous) == (position.sequence + 1, position.head);
            if !begins || part.last < part.first {
                return Err(self.out_of_order("its records are not the next ones"));
            }
            position.sequence = part.last;
            position.head = part.head;
        }
        Ok(())
    }

    /// Writes it under its name, durably; the archive is locked.
    pub(super) fn write(&self, directory: &Path, unfinished: &Path) -> Result<(), ArchiveFault> {
        let name = format!("{BEFORE_DATE}{}{AFTER_DATE}", self.through);
        let text = serde_json::to_vec_pretty(self).map_err(|source| ArchiveFault::Manifest {
            path: directory.join(&name),
            source,
        })?;
        let written = std::fs::File::create(unfinished).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(at(unfinished))?;
        give_name(directory, unfinished, &name)
    }
}

/// Every manifest of a directory, in the order of their dates; none where there is no such directory.
pub(super) fn read_all(directory: &Path) -> Result<Vec<Manifest>, ArchiveFault> {
    let mut manifests = BTreeMap::new();
    for name in super::part::entries(directory)? {
        let date = name
            .strip_prefix(BEFORE_DATE)
            .and_then(|name| name.strip_suffix(AFTER_DATE));
        let Some(date) = date.and_then(|date| date.parse::<BusinessDate>().ok()) else {
            continue;
        };
        let path = directory.join(&name);
        let text = std::fs::read(&path).map_err(at(&path))?;
        let read: Result<Manifest, _> = serde_json::from_slice(&text);
        let manifest = read.map_err(|source| ArchiveFault::Manifest { path, source })?;
        if manifest.through != date {
            return Err(manifest.out_of_order("its name is of another date"));
        }
        manifests.insert(date, manifest);
    }
    Ok(manifests.into_values().collect())
}

fn told<T: Display, S: Serializer>(value: &T, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(value)
}

fn parsed<'de, T: FromStr, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
    let text = String::deserialize(input)?;
    text.parse()
        .map_err(|_| de::Error::custom("a date or a time does not read"))
}

#[expect(clippy::ref_option, reason = "serde gives a field by reference")]
fn perhaps_told<T: Display, S: Serializer>(value: &Option<T>, out: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(out)
}

fn perhaps_parsed<'de, T: FromStr, D: Deserializer<'de>>(input: D) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(input)?;
    let value = text.map(|text| text.parse()).transpose();
    value.map_err(|_| de::Error::custom("a date does not read"))
}

fn hash_told<S: Serializer>(hash: &ChainHash, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(hash)
}

fn hash_parsed<'de, D: Deserializer<'de>>(input: D) -> Result<ChainHash, D::Error> {
    let text = String::deserialize(input)?;
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes
        .map(ChainHash)
        .ok_or_else(|| de::Error::custom("a hash is 64 hexadecimal digits"))
}
