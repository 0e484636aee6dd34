//! Net positions of a clearing batch: who owes and who is owed.
//!
//! A payment takes from the bank and gives to the payment institution; a refund or payout goes the other way. The
//! institution's side is taken from the transfer, the bank's own from the entries on the network's clearing account, so
//! that "a batch nets to zero" (C1) says something. Pure: values in, values out.

use std::collections::{BTreeMap, BTreeSet};

use ledger_model::{
    BatchId, BusinessDate, Currency, Decision, Entry, InstitutionId, LedgerAccount, Money, Side, Transfer, TransferKind,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetKey {
    pub batch: BatchId,
    pub institution: InstitutionId,
    pub currency: Currency,
}

/// Debit: the institution owes. Credit: it is owed. Minor units of the key's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetSums {
    pub posted: i64,
    pub debit_minor: i64,
    pub credit_minor: i64,
}

/// Positions by batch, institution and currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nets(BTreeMap<NetKey, NetSums>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the position of {} in batch {} is out of range", .0.institution, .0.batch)]
pub struct NetFault(pub NetKey);

impl NetSums {
    /// What the institution is owed, less what it owes. `None` out of range.
    pub fn net_minor(&self) -> Option<i64> {
        self.credit_minor.checked_sub(self.debit_minor)
    }

    fn plus(&self, other: &Self) -> Option<Self> {
        Some(Self {
            posted: self.posted.checked_add(other.posted)?,
            debit_minor: self.debit_minor.checked_add(other.debit_minor)?,
            credit_minor: self.credit_minor.checked_add(other.credit_minor)?,
        })
    }

    /// Of sums of one transfer, which are no smaller than the negative of the largest.
    const fn negated(&self) -> Self {
        Self {
            posted: -self.posted,
            debit_minor: -self.debit_minor,
            credit_minor: -self.credit_minor,
        }
    }

    const fn one(side: Side, minor: i64) -> Self {
        match side {
            Side::Debit => Self {
                posted: 1,
                debit_minor: minor,
                credit_minor: 0,
            },
            Side::Credit => Self {
                posted: 1,
                debit_minor: 0,
                credit_minor: minor,
            },
        }
    }
}

/// Which way the money of a transfer goes for the payment institution. `None` of adjustments, which go either way.
pub const fn institution_side(kind: TransferKind) -> Option<Side> {
    match kind {
        TransferKind::Payment => Some(Side::Credit),
        TransferKind::Refund | TransferKind::Payout => Some(Side::Debit),
        TransferKind::Reversal | TransferKind::Supplement => None,
    }
}

/// Which way it goes for this bank.
pub const fn bank_side(kind: TransferKind) -> Option<Side> {
    match institution_side(kind) {
        Some(side) => Some(side.other()),
        None => None,
    }
}

impl Nets {
    /// Takes one decided transfer with its entries. A refused one has no entries and moves nothing.
    pub fn take(&mut self, bank: InstitutionId, transfer: &Transfer, entries: &[Entry]) -> Result<(), NetFault> {
        match (transfer.decision, institution_side(transfer.kind)) {
            (Decision::Refused(_), _) => {}
            (Decision::Posted, Some(side)) => {
                self.add_institution(transfer, NetSums::one(side, transfer.amount.minor()))?;
            }
            (Decision::Posted, None) => self.mirror(transfer, entries)?,
        }
        self.take_entries(bank, entries)
    }

    /// Takes a transfer out again that `entries` take back: it counts as if it had never been. Without entries it stays.
    pub fn take_back(&mut self, bank: InstitutionId, transfer: &Transfer, entries: &[Entry]) -> Result<(), NetFault> {
        let of = |institution| NetKey {
            batch: transfer.batch,
            institution,
            currency: transfer.amount.currency(),
        };
        for entry in entries {
            if matches!(entry.account, LedgerAccount::NetworkClearing(_)) {
                let minor = entry.amount.minor();
                // the transfer stood on the other side
                self.add(
                    of(transfer.institution),
                    NetSums::one(entry.side.other(), minor).negated(),
                )?;
                self.add(of(bank), NetSums::one(entry.side, minor).negated())?;
            }
        }
        Ok(())
    }

    /// The institution's side of entries at the network, where the kind of the transfer does not say it.
    fn mirror(&mut self, transfer: &Transfer, entries: &[Entry]) -> Result<(), NetFault> {
        for entry in entries {
            if matches!(entry.account, LedgerAccount::NetworkClearing(_)) {
                // what is credited to the network's account, the institution is owed
                self.add_institution(transfer, NetSums::one(entry.side, entry.amount.minor()))?;
            }
        }
        Ok(())
    }

    fn add_institution(&mut self, transfer: &Transfer, sums: NetSums) -> Result<(), NetFault> {
        let key = NetKey {
            batch: transfer.batch,
            institution: transfer.institution,
            currency: transfer.amount.currency(),
        };
        self.add(key, sums)
    }

    fn take_entries(&mut self, bank: InstitutionId, entries: &[Entry]) -> Result<(), NetFault> {
        for entry in entries {
            match entry.account {
                LedgerAccount::NetworkClearing(batch) => {
                    let key = NetKey {
                        batch,
                        institution: bank,
                        currency: entry.amount.currency(),
                    };
                    // what is credited to the network's account, the bank owes
                    self.add(key, NetSums::one(entry.side.other(), entry.amount.minor()))?;
                }
                LedgerAccount::Customer(_)
                | LedgerAccount::OpeningBalances
                | LedgerAccount::Suspense
                | LedgerAccount::Fee
                | LedgerAccount::StandInAdvance => {}
            }
        }
        Ok(())
    }

    pub fn add(&mut self, key: NetKey, sums: NetSums) -> Result<(), NetFault> {
        let held = self.0.entry(key).or_default();
        *held = held.plus(&sums).ok_or(NetFault(key))?;
        Ok(())
    }

    /// Leaves out the batches of these days.
    #[must_use]
    pub fn without_days(&self, days: &BTreeSet<BusinessDate>) -> Self {
        let kept = self.iter().filter(|(key, _)| !days.contains(&key.batch.date()));
        Self(kept.map(|(key, sums)| (*key, *sums)).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&NetKey, &NetSums)> {
        self.0.iter()
    }

    pub fn sums(&self, key: &NetKey) -> NetSums {
        self.0.get(key).copied().unwrap_or_default()
    }

    /// The sum over everyone in each batch and currency; zero everywhere where C1 holds.
    pub fn balance(&self) -> Result<BTreeMap<(BatchId, Currency), Money>, NetFault> {
        let mut sums = BTreeMap::new();
        for (key, sum) in self.iter() {
            let held = sums
                .entry((key.batch, key.currency))
                .or_insert(Money::zero(key.currency));
            let net = Money::new(sum.net_minor().ok_or(NetFault(*key))?, key.currency);
            *held = held.plus(net).map_err(|_| NetFault(*key))?;
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample;

    fn net_of(nets: &Nets, institution: InstitutionId) -> i64 {
        let of_institution = nets.iter().filter(|(key, _)| key.institution == institution);
        of_institution.map(|(_, sums)| sums.net_minor().unwrap()).sum()
    }

    fn check(kind: TransferKind, bank_minor: i64, institution_minor: i64) {
        let (transfer, entries) = sample::transfer(kind, 1, 500);
        let mut nets = Nets::default();
        nets.take(sample::bank(), &transfer, &entries).unwrap();
        assert_eq!(net_of(&nets, sample::bank()), bank_minor, "{kind:?}");
        assert_eq!(net_of(&nets, transfer.institution), institution_minor, "{kind:?}");
    }

    #[test]
    fn who_owes_whom() {
        check(TransferKind::Payment, -500, 500);
        check(TransferKind::Refund, 500, -500);
        check(TransferKind::Payout, 500, -500);
    }

    #[test]
    fn a_refused_transfer_moves_nothing() {
        let mut nets = Nets::default();
        nets.take(sample::bank(), &sample::refused(1, 500), &[]).unwrap();
        assert_eq!(nets, Nets::default());
    }

    #[test]
    fn a_sum_out_of_range_is_said() {
        let (transfer, entries) = sample::transfer(TransferKind::Payment, 1, i64::MAX);
        let mut nets = Nets::default();
        nets.take(sample::bank(), &transfer, &entries).unwrap();
        assert!(nets.take(sample::bank(), &transfer, &entries).is_err());
    }

    #[test]
    fn days_are_left_out_whole() {
        let (transfer, entries) = sample::transfer(TransferKind::Payment, 1, 500);
        let mut nets = Nets::default();
        nets.take(sample::bank(), &transfer, &entries).unwrap();
        assert_eq!(nets.without_days(&BTreeSet::new()), nets);
        assert_eq!(
            nets.without_days(&BTreeSet::from([transfer.batch.date()])),
            Nets::default()
        );
    }

    proptest! {
        #[test]
        fn whatever_is_posted_nets_to_zero(
            postings in prop::collection::vec((0..3_usize, 0..50_u64, 1..1_000_000_i64), 0..60),
        ) {
            let mut nets = Nets::default();
            for (kind, number, minor) in postings {
                let (transfer, entries) = sample::transfer(TransferKind::OF_MESSAGES[kind], number, minor);
                nets.take(sample::bank(), &transfer, &entries).unwrap();
            }
            prop_assert!(nets.balance().unwrap().values().all(|sum| sum.minor() == 0));
        }
    }
}
