//! What each record changes, worked out from what it says.

use ledger_journal::{Event, JournalRecord};
use ledger_model::{
    Account, Administration, AgreementNumber, Decision, Entry, Hop, HopState, LedgerAccount, Transfer, TransferKey,
    TransferKind, UsageSubject,
};

use super::{Fold, differs};
use crate::books::{HeldAccount, HopRow, InternalAccount, Said, UsageKey};
use crate::store::StoreFault;
use crate::store::embedded::frame::KeyDigest;
use crate::store::embedded::location::Location;
use crate::store::embedded::segment::read_item;
use crate::store::row::REVERSED;

impl Fold<'_> {
    /// The balance comes with the entries, which are taken first.
    pub(super) fn open(&mut self, account: Account) -> Result<(), StoreFault> {
        let opened_with = account.balance;
        let fresh = self
            .accounts
            .insert(account.token, HeldAccount { account, opened_with });
        match fresh {
            None => Ok(()),
            Some(_) => Err(differs("an account is opened twice")),
        }
    }

    pub(super) fn enter(&mut self, entries: &[Entry]) -> Result<(), StoreFault> {
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

    pub(super) fn count(&mut self, transfer: &Transfer) {
        match transfer.decision {
            Decision::Refused(_) => self.state.transfers_refused += 1,
            Decision::Posted => self.state.transfers_posted += 1,
        }
    }

    pub(super) fn is_indexed(&self, key: &TransferKey, location: Location) -> Result<(), StoreFault> {
        let digest = KeyDigest::of(key);
        let kept = self.recovered.index.days().contains(&digest.day);
        let mut found = self.recovered.index.candidates(digest);
        if kept && !found.any(|candidate| candidate == location) {
            return Err(differs("the index does not know a transfer"));
        }
        Ok(())
    }

    /// `decision` is that of the customer's home, which is this shard.
    pub(super) fn decide(
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

    pub(super) fn take_in(&mut self, transfer: Transfer, said: Said, hop: Hop) {
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

    pub(super) fn administer(&mut self, act: Administration) -> Result<(), StoreFault> {
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
            Administration::CloseThrough { date } => self.state.closed_through = Some(date),
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
}
