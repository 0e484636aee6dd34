//! A store that is not in use, gone through from its first record: every frame whole, the chain unbroken, evidence what
//! its digest says, and state, rows, sums and index what the records come to. A second opinion: rows are worked out here
//! from what the records say, not taken from the engine. Where the first records were released, what can be told without
//! them ([`later`]).

mod fold;
mod later;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

use ledger_journal::{ChainPosition, Event, EvidenceDigest, JournalRecord};
use ledger_model::{AccountLimits, AccountToken, Agreement, AgreementNumber, Packed, TransferKey};

use self::later::Later;
use super::base::is_begun;
use super::frame::{Frame, Header, KeyDigest};
use super::location::Location;
use super::log::Written;
use super::recovery::{Recovered, log_start, recover};
use super::resting::shards_of;
use super::segment::{Owner, after, header_at, path_of, read_frame, reading};
use super::{shard_directory, take};
use crate::books::{HeldAccount, HopRow, InternalKey, Sides, Usage, UsageKey};
use crate::state::ShardState;
use crate::store::StoreFault;
use crate::store::row::{Kinds, pack_pair, unpack};

/// What was found in one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub state: ShardState,
    /// Number of the last record that was released; what is before it was not gone through.
    pub released: u64,
    pub groups: u64,
    pub accounts: usize,
    pub agreements: usize,
}

/// A record that is not what it should be.
const fn differs(what: &'static str) -> StoreFault {
    StoreFault::Inconsistent(what)
}

/// Every shard under `directory`, which nobody has open.
pub fn check(directory: &Path) -> Result<Vec<Checked>, StoreFault> {
    check_with(directory, |_| {})
}

/// As `check`; tells `progress` the bytes of every frame gone through.
pub fn check_with(directory: &Path, mut progress: impl FnMut(u64)) -> Result<Vec<Checked>, StoreFault> {
    let shards = shards_of(directory)?;
    let checked = shards.all().map(|shard| {
        let directory = shard_directory(directory, shard);
        if !is_begun(&directory) {
            return Err(differs("the directory of a shard is missing"));
        }
        let _lock = take(&directory)?;
        check_shard(&directory, Owner { shard, shards }, &mut progress)
    });
    checked.collect()
}

fn check_shard(directory: &Path, owner: Owner, progress: &mut impl FnMut(u64)) -> Result<Checked, StoreFault> {
    let recovered = recover(directory, owner)?;
    let base = &recovered.base;
    let fold = Fold {
        recovered: &recovered,
        position: base.base.position,
        state: ShardState::empty(owner.shard),
        accounts: HashMap::new(),
        agreements: HashMap::new(),
        limits: BTreeMap::new(),
        usages: HashMap::new(),
        internal: BTreeMap::new(),
        returned: BTreeMap::new(),
        hops: BTreeMap::new(),
    };
    let mut going = if base.is_start() {
        Going::FromFirst(fold)
    } else {
        Going::FromBase(Later::over(fold))
    };
    let mut buffer = Vec::new();
    let mut due = base.first_group;
    for number in base.first_segment..=recovered.segments.last() {
        let file = File::open(path_of(directory, number)).map_err(reading)?;
        let mut offset = log_start().offset;
        while let Some(header) = header_at(&file, offset)? {
            let at = Written {
                segment: number,
                offset,
            };
            if at == recovered.end {
                break;
            }
            if header.number != due {
                return Err(differs("a group of its log is missing"));
            }
            due += 1;
            let bytes = read_frame(&file, offset, header, &mut buffer)?;
            match &mut going {
                Going::FromFirst(fold) => fold.follow(header, bytes, at)?,
                Going::FromBase(later) => later.follow(header, bytes, at)?,
            }
            progress(header.frame_bytes());
            offset = after(offset, header)?;
        }
    }
    if due != recovered.next {
        return Err(differs("a group of its log is missing"));
    }
    match &going {
        Going::FromFirst(fold) => fold.compare()?,
        Going::FromBase(later) => later.compare()?,
    }
    drop(going);
    Ok(Checked {
        released: base.base.position.sequence,
        groups: due - base.first_group,
        accounts: recovered.tables.accounts.rows().count(),
        agreements: recovered.tables.agreements.rows().count(),
        state: recovered.state,
    })
}

/// How a store is gone through.
#[expect(clippy::large_enum_variant, reason = "there is one")]
enum Going<'a> {
    FromFirst(Fold<'a>),
    FromBase(Later<'a>),
}

/// What the records come to so far.
struct Fold<'a> {
    /// What opening would find.
    recovered: &'a Recovered,
    position: ChainPosition,
    state: ShardState,
    accounts: HashMap<AccountToken, HeldAccount>,
    agreements: HashMap<AgreementNumber, Agreement>,
    limits: BTreeMap<AccountToken, Option<AccountLimits>>,
    usages: HashMap<UsageKey, Usage>,
    internal: BTreeMap<InternalKey, Sides>,
    /// As `row::returned` gives it.
    returned: BTreeMap<(u32, Location), i64>,
    hops: BTreeMap<TransferKey, HopRow>,
}

impl Fold<'_> {
    fn follow(&mut self, header: Header, bytes: &[u8], at: Written) -> Result<(), StoreFault> {
        let frame = Frame::read(header, bytes)?;
        let mut digests = Vec::new();
        let mut keys = Vec::new();
        for (place, item) in (0_u32..).zip(&frame.items) {
            let record = JournalRecord::decode(item.record).map_err(StoreFault::content("journal record"))?;
            let followed = self.position.follow(&record, item.record);
            self.position = followed.map_err(StoreFault::content("journal record"))?;
            self.enter(record.event.entries())?;
            let location = Location::new(at.segment, at.offset + item.offset);
            match record.event {
                Event::AccountOpened { account, .. } => self.open(account)?,
                Event::AgreementRecorded { agreement } => {
                    self.agreements.insert(agreement.number, agreement);
                }
                Event::TransferDecided { transfer, evidence, .. } => {
                    digests.push((record.sequence, evidence));
                    keys.push((place, KeyDigest::of(&transfer.key)));
                    self.count(&transfer);
                    let said = unpack("rest of a message", item.said)?;
                    self.decide(&transfer, transfer.decision, said, location)?;
                }
                Event::TransferHopped {
                    transfer,
                    evidence,
                    hop,
                    ..
                } => {
                    digests.push((record.sequence, evidence));
                    keys.push((place, KeyDigest::of(&transfer.key)));
                    self.count(&transfer);
                    self.is_indexed(&transfer.key, location)?;
                    self.take_in(transfer, unpack("rest of a message", item.said)?, hop);
                }
                Event::HopSettled { transfer, decision, .. } => {
                    keys.push((place, KeyDigest::of(&transfer.key)));
                    let said = unpack("rest of a message", item.said)?;
                    self.decide(&transfer, decision, said, location)?;
                }
                Event::HopClosed { transfer, state, .. } => {
                    let row = self.hops.get_mut(&transfer.key);
                    row.ok_or(differs("a hop is closed that was never taken in"))?.state = state;
                }
                Event::Administered { act, .. } => self.administer(act)?,
            }
        }
        if keys != frame.keys {
            return Err(differs("the keys of a group are not those of its records"));
        }
        check_evidence(&frame, &digests)?;
        self.state.sequence = self.position.sequence;
        self.state.head = self.position.head;
        let state: ShardState = unpack("state", frame.state)?;
        self.state.shipped = state.shipped;
        if state != self.state {
            return Err(differs("the state after a group is not what its records come to"));
        }
        self.compare_rows(&frame.rows)
    }

    fn compare_rows(&self, rows: &Kinds<Vec<&[u8]>>) -> Result<(), StoreFault> {
        for row in &rows.accounts {
            let held: HeldAccount = unpack("account", row)?;
            if self.accounts.get(&held.account.token) != Some(&held) {
                return Err(differs("an account is not what its records come to"));
            }
        }
        for row in &rows.agreements {
            let agreement: Agreement = unpack("agreement", row)?;
            if self.agreements.get(&agreement.number) != Some(&agreement) {
                return Err(differs("an agreement is not what its record says"));
            }
        }
        Ok(())
    }

    /// Everything that opening would find against everything the records come to.
    fn compare(&self) -> Result<(), StoreFault> {
        let tables = &self.recovered.tables;
        if self.recovered.state != self.state {
            return Err(differs("the state is not what the records come to"));
        }
        same(
            &self.accounts,
            tables.accounts.rows().map(<[u8; _]>::as_slice),
            |(_, held)| packed(held),
        )?;
        let agreements = tables.agreements.rows().map(<[u8; _]>::as_slice);
        same(&self.agreements, agreements, |(_, agreement)| packed(agreement))?;
        let internal = tables.internal.rows().map(<[u8; _]>::as_slice);
        same(&self.internal, internal, |(key, sums)| pair(key, sums))?;
        let limits = tables.limits.rows().map(<[u8; _]>::as_slice);
        same(&self.limits, limits, |(token, limits)| pair(token, limits))?;
        let hops = tables.hops.rows().map(<[u8; _]>::as_slice);
        // what is over goes with the record of its transfer
        let days = self.recovered.index.days();
        let is_there = |key: &TransferKey, row: &HopRow| {
            let is_kept = !row.is_over() || days.contains(&key.id.date().number());
            is_kept || tables.hops.find(&key.bytes()).is_some()
        };
        let due: BTreeMap<_, _> = self.hops.iter().filter(|(key, row)| is_there(key, row)).collect();
        same(&due, hops, |(_, row)| packed(*row))?;
        let kept = |key: &UsageKey| tables.usages.contains_key(&key.date.number());
        let used: BTreeMap<_, _> = self.usages.iter().filter(|(key, _)| kept(key)).collect();
        let usages = tables
            .usages
            .values()
            .flat_map(|day| day.rows().map(<[u8; _]>::as_slice));
        same(&used, usages, |(key, usage)| pair(*key, *usage))?;
        for ((day, location), sum) in &self.returned {
            if self.recovered.index.refunded(*day, *location) != *sum {
                return Err(differs(
                    "what was taken back is not what its refunds and reversals come to",
                ));
            }
        }
        Ok(())
    }
}

fn packed<T: Packed>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    value.pack(&mut out);
    out
}

fn pair<K: Packed + Copy, V: Packed + Copy>(key: &K, value: &V) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    pack_pair(&(*key, *value), &mut out);
    out
}

/// The rows held are those expected, no more and no fewer.
fn same<'a, T>(
    expected: impl IntoIterator<Item = T>,
    held: impl Iterator<Item = &'a [u8]>,
    row: impl Fn(T) -> Vec<u8>,
) -> Result<(), StoreFault> {
    let trimmed = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.iter().take(length).copied().collect()
    };
    let mut expected: Vec<Vec<u8>> = expected.into_iter().map(|value| trimmed(&row(value))).collect();
    let mut held: Vec<Vec<u8>> = held.map(trimmed).collect();
    expected.sort_unstable();
    held.sort_unstable();
    if expected == held {
        Ok(())
    } else {
        Err(differs("rows are not what the records come to"))
    }
}

fn check_evidence(frame: &Frame<'_>, digests: &[(u64, EvidenceDigest)]) -> Result<(), StoreFault> {
    let mut found = Vec::with_capacity(digests.len());
    for (number, sealed) in frame.evidence()? {
        let evidence = crate::evidence::open(&sealed).map_err(StoreFault::content("piece of evidence"))?;
        let digest = EvidenceDigest::over(&evidence.signed, &evidence.signature, &evidence.signing_serial);
        found.push((number, digest));
    }
    if found == digests {
        Ok(())
    } else {
        Err(differs("the evidence of a group is not what its records say"))
    }
}
