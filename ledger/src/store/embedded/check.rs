//! A store that is not in use, gone through from its first record: every frame whole, the chain unbroken, evidence what
//! its digest says, and state, rows, sums and index what the records come to. A second opinion: rows are worked out here
//! from what the records say, not taken from the engine.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

use ledger_journal::{ChainPosition, Event, EvidenceDigest, JournalRecord};
use ledger_model::{
    AccountLimits, AccountToken, Administration, Agreement, AgreementNumber, Decision, Entry, Hop, HopState,
    LedgerAccount, Packed, Transfer, TransferKey, TransferKind, UsageSubject,
};

use super::frame::{Frame, Header, KeyDigest};
use super::location::Location;
use super::log::Written;
use super::recovery::{Recovered, log_start, recover};
use super::resting::shards_of;
use super::segment::{Owner, after, header_at, path_of, read_frame, read_item, reading};
use super::{shard_directory, take};
use crate::books::{HeldAccount, HopRow, InternalAccount, InternalKey, Said, Sides, Usage, UsageKey};
use crate::state::ShardState;
use crate::store::StoreFault;
use crate::store::row::{Kinds, REVERSED, pack_pair, unpack};

/// What was found in one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub state: ShardState,
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
    let shards = shards_of(directory)?;
    let checked = shards.all().map(|shard| {
        let directory = shard_directory(directory, shard);
        if !path_of(&directory, 1).exists() {
            return Err(differs("the directory of a shard is missing"));
        }
        let _lock = take(&directory)?;
        check_shard(&directory, Owner { shard, shards })
    });
    checked.collect()
}

fn check_shard(directory: &Path, owner: Owner) -> Result<Checked, StoreFault> {
    let recovered = recover(directory, owner)?;
    let mut fold = Fold {
        recovered: &recovered,
        position: ChainPosition::start(owner.shard),
        state: ShardState::empty(owner.shard),
        accounts: HashMap::new(),
        agreements: HashMap::new(),
        limits: BTreeMap::new(),
        usages: HashMap::new(),
        internal: BTreeMap::new(),
        returned: BTreeMap::new(),
        hops: BTreeMap::new(),
    };
    let mut buffer = Vec::new();
    let mut groups = 0;
    for number in 1..=recovered.segments.last() {
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
            groups += 1;
            if header.number != groups {
                return Err(differs("a group of its log is missing"));
            }
            let bytes = read_frame(&file, offset, header, &mut buffer)?;
            fold.follow(header, bytes, at)?;
            offset = after(offset, header)?;
        }
    }
    if groups + 1 != recovered.next {
        return Err(differs("a group of its log is missing"));
    }
    fold.compare()?;
    Ok(Checked {
        groups,
        accounts: fold.accounts.len(),
        agreements: fold.agreements.len(),
        state: fold.state,
    })
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

    /// The balance comes with the entries, which are taken first.
    fn open(&mut self, account: ledger_model::Account) -> Result<(), StoreFault> {
        let opened_with = account.balance;
        let fresh = self
            .accounts
            .insert(account.token, HeldAccount { account, opened_with });
        match fresh {
            None => Ok(()),
            Some(_) => Err(differs("an account is opened twice")),
        }
    }

    fn enter(&mut self, entries: &[Entry]) -> Result<(), StoreFault> {
        const ENDLESS: StoreFault = differs("a sum is more than can be held");
        let opens = entries
            .iter()
            .any(|entry| entry.account == LedgerAccount::OpeningBalances);
        for entry in entries {
            let currency = entry.amount.currency();
            let totals = self.state.totals.entry(currency).or_default();
            *totals = totals.plus(entry).ok_or(ENDLESS)?;
            match InternalAccount::of(entry.account) {
                // an account that is being opened brings its balance along
                Err(_) if opens => {}
                Err(token) => {
                    let held = self.accounts.get_mut(&token);
                    let held = held.ok_or(differs("an entry names an account that was never opened"))?;
                    let money = entry.amount.money();
                    let balance = match entry.side {
                        ledger_model::Side::Credit => held.account.balance.plus(money),
                        ledger_model::Side::Debit => held.account.balance.minus(money),
                    };
                    held.account.balance = balance.map_err(|_| ENDLESS)?;
                }
                Ok(account) => {
                    let sums = self.internal.entry(account.in_currency(currency)).or_default();
                    *sums = sums.plus(entry).ok_or(ENDLESS)?;
                }
            }
        }
        self.state
            .check_balanced()
            .map_err(|_| differs("debits and credits of a record differ"))
    }

    fn count(&mut self, transfer: &Transfer) {
        match transfer.decision {
            Decision::Refused(_) => self.state.transfers_refused += 1,
            Decision::Posted => self.state.transfers_posted += 1,
        }
    }

    fn is_indexed(&self, key: &TransferKey, location: Location) -> Result<(), StoreFault> {
        let digest = KeyDigest::of(key);
        let kept = self.recovered.index.days().contains(&digest.day);
        let mut found = self.recovered.index.candidates(digest);
        if kept && !found.any(|candidate| candidate == location) {
            return Err(differs("the index does not know a transfer"));
        }
        Ok(())
    }

    /// `decision` is that of the customer's home, which is this shard.
    fn decide(
        &mut self,
        transfer: &Transfer,
        decision: Decision,
        said: Said,
        location: Location,
    ) -> Result<(), StoreFault> {
        self.is_indexed(&transfer.key, location)?;
        if decision != Decision::Posted {
            return Ok(());
        }
        match (transfer.kind, transfer.agreement, transfer.original) {
            (TransferKind::Payment, Some(agreement), _) => self.use_up(agreement, transfer, said),
            (TransferKind::Refund, _, Some(original)) => {
                let minor = transfer.amount.minor();
                self.returned_of(original, |returned| *returned += minor)
            }
            (TransferKind::Reversal, _, Some(original)) => self.reverse(original),
            _ => Ok(()),
        }
    }

    fn use_up(&mut self, agreement: AgreementNumber, transfer: &Transfer, said: Said) -> Result<(), StoreFault> {
        let payer = transfer.account.ok_or(differs("a payment names no account"))?;
        let limited = self.limits.get(&payer).copied().flatten().is_some();
        let account = limited.then_some(UsageSubject::Account(payer));
        for subject in [Some(UsageSubject::Agreement(agreement)), account]
            .into_iter()
            .flatten()
        {
            let date = said.ordered_at.date();
            let usage = self.usages.entry(UsageKey { subject, date }).or_default();
            usage.count += 1;
            usage.sum_minor += transfer.amount.minor();
        }
        Ok(())
    }

    fn take_in(&mut self, transfer: Transfer, said: Said, hop: Hop) {
        if let (TransferKind::Payment, Some(agreement)) = (transfer.kind, transfer.agreement) {
            let key = UsageKey {
                subject: UsageSubject::StandIn(agreement),
                date: said.ordered_at.date(),
            };
            let usage = self.usages.entry(key).or_default();
            usage.count += 1;
            usage.sum_minor += transfer.amount.minor();
        }
        let key = transfer.key;
        let state = HopState::Open;
        self.hops.insert(
            key,
            HopRow {
                transfer,
                said,
                hop,
                state,
            },
        );
    }

    fn administer(&mut self, act: Administration) -> Result<(), StoreFault> {
        const UNKNOWN: StoreFault = differs("an operator changed what was never there");
        match act {
            Administration::AccountStatus { account, status } => {
                self.accounts.get_mut(&account).ok_or(UNKNOWN)?.account.status = status;
            }
            Administration::AccountLimits { account, limits } => drop(self.limits.insert(account, limits)),
            Administration::AgreementStatus { number, status } => {
                self.agreements.get_mut(&number).ok_or(UNKNOWN)?.status = status;
            }
            Administration::AgreementTerms { number, terms } => {
                self.agreements.get_mut(&number).ok_or(UNKNOWN)?.terms = terms;
            }
        }
        Ok(())
    }

    /// The original is reversed; where it is a refund itself, its payment has so much less refunded.
    fn reverse(&mut self, original: TransferKey) -> Result<(), StoreFault> {
        let mut refund = None;
        for (location, transfer) in self.found(&original)? {
            let day = original.id.date().number();
            self.returned.insert((day, location), REVERSED);
            if let (TransferKind::Refund, Some(payment)) = (transfer.kind, transfer.original) {
                refund = Some((payment, transfer.amount.minor()));
            }
        }
        match refund {
            Some((payment, minor)) => self.returned_of(payment, |returned| *returned -= minor),
            None => Ok(()),
        }
    }

    fn returned_of(&mut self, original: TransferKey, change: impl Fn(&mut i64)) -> Result<(), StoreFault> {
        for (location, _) in self.found(&original)? {
            let day = original.id.date().number();
            change(self.returned.entry((day, location)).or_default());
        }
        Ok(())
    }

    /// What the index knows under a key, read from the log.
    fn found(&self, key: &TransferKey) -> Result<Vec<(Location, Transfer)>, StoreFault> {
        let mut found = Vec::new();
        for location in self.recovered.index.candidates(KeyDigest::of(key)) {
            let bytes = self.recovered.segments.item(location)?;
            let record = JournalRecord::decode(read_item(&bytes, location)?.record);
            let record = record.map_err(StoreFault::content("journal record"))?;
            match record.event {
                Event::TransferDecided { transfer, .. } | Event::HopSettled { transfer, .. }
                    if transfer.key == *key =>
                {
                    found.push((location, transfer));
                }
                // another key of the same hash, or what is only held for another shard
                Event::TransferDecided { .. }
                | Event::HopSettled { .. }
                | Event::AccountOpened { .. }
                | Event::AgreementRecorded { .. }
                | Event::TransferHopped { .. }
                | Event::HopClosed { .. }
                | Event::Administered { .. } => {}
            }
        }
        Ok(found)
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
        same(&self.hops, hops, |(_, row)| packed(row))?;
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
