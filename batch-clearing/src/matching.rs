//! Reconciliation proper: our transfers against the network's lines.
//!
//! Each line and each transfer is claimed once. Of several lines for one transfer the one that agrees best claims it
//! and the rest are duplicates. A pair that disagrees is one difference, of the first class that applies. Pure.

use std::collections::{BTreeMap, BTreeSet};

use ledger_model::{
    Amount, BankSerial, BatchId, Currency, InstitutionId, Money, MoneyFault, Side, TransferKind, TransferStatus,
};

use crate::netting::bank_side;
use crate::statement::{StatementLine, TransferName};

/// What a difference is. Declared in order of precedence within a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceClass {
    /// The network states a transfer we do not have.
    MissingHere,
    /// We have a transfer the network does not state.
    MissingThere,
    /// The network states it again.
    DuplicateInStatement,
    BatchDiffers,
    AmountDiffers,
    StatusDiffers,
    DirectionDiffers,
    InstitutionDiffers,
    SerialDiffers,
    /// The clearing notice differs from our journal by more than the lines explain.
    NoticeDiffers,
}

/// A decided transfer of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTransfer {
    pub name: TransferName,
    pub batch: BatchId,
    pub amount: Amount,
    pub kind: TransferKind,
    pub institution: InstitutionId,
    pub status: TransferStatus,
    pub serial: BankSerial,
}

/// One side of a difference, as shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub batch: BatchId,
    /// Of the transfer; of a notice, the bank's signed net.
    pub amount: Money,
    pub institution: Option<InstitutionId>,
    pub status: Option<TransferStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub class: DifferenceClass,
    /// Of the transfer; none where a whole batch differs.
    pub name: Option<TransferName>,
    pub ours: Option<Seen>,
    pub theirs: Option<Seen>,
}

/// What came of matching.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    pub matched: u64,
    /// Ours, of batches whose file could not be read.
    pub not_compared: u64,
    pub differences: Vec<Difference>,
    /// By how much the differences make the network's net for this bank differ from ours.
    pub explained: BTreeMap<(BatchId, Currency), Money>,
}

impl DifferenceClass {
    pub const ALL: [Self; 10] = [
        Self::MissingHere,
        Self::MissingThere,
        Self::DuplicateInStatement,
        Self::BatchDiffers,
        Self::AmountDiffers,
        Self::StatusDiffers,
        Self::DirectionDiffers,
        Self::InstitutionDiffers,
        Self::SerialDiffers,
        Self::NoticeDiffers,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingHere => "missing_here",
            Self::MissingThere => "missing_there",
            Self::DuplicateInStatement => "duplicate_in_statement",
            Self::BatchDiffers => "batch_differs",
            Self::AmountDiffers => "amount_differs",
            Self::StatusDiffers => "status_differs",
            Self::DirectionDiffers => "direction_differs",
            Self::InstitutionDiffers => "institution_differs",
            Self::SerialDiffers => "serial_differs",
            Self::NoticeDiffers => "notice_differs",
        }
    }

    /// The first in which the two disagree.
    fn of_pair(own: &OwnTransfer, line: &StatementLine) -> Option<Self> {
        let serial_stated = line.serial.is_some_and(|serial| serial != own.serial);
        let checks = [
            (own.batch != line.batch, Self::BatchDiffers),
            (own.amount != line.amount, Self::AmountDiffers),
            (own.status != line.status, Self::StatusDiffers),
            (bank_side(own.kind) != Some(line.direction), Self::DirectionDiffers),
            (own.institution != line.institution, Self::InstitutionDiffers),
            (serial_stated, Self::SerialDiffers),
        ];
        checks.into_iter().find_map(|(differs, class)| differs.then_some(class))
    }
}

impl OwnTransfer {
    fn seen(&self) -> Seen {
        let (batch, amount) = (self.batch, self.amount.money());
        Seen {
            batch,
            amount,
            institution: Some(self.institution),
            status: Some(self.status),
        }
    }

    /// What it does to this bank's net.
    pub fn effect(&self) -> Result<Money, MoneyFault> {
        match bank_side(self.kind) {
            Some(side) => effect(self.amount, side, self.status),
            // the bank's own adjustments are in no statement of the network
            None => Ok(Money::zero(self.amount.currency())),
        }
    }
}

impl StatementLine {
    fn seen(&self) -> Seen {
        let (batch, amount) = (self.batch, self.amount.money());
        Seen {
            batch,
            amount,
            institution: Some(self.institution),
            status: Some(self.status),
        }
    }
}

/// Only what succeeded moves money. Debit: the bank owes.
fn effect(amount: Amount, side: Side, status: TransferStatus) -> Result<Money, MoneyFault> {
    match (status, side) {
        (TransferStatus::Success, Side::Credit) => Ok(amount.money()),
        (TransferStatus::Success, Side::Debit) => Money::zero(amount.currency()).minus(amount.money()),
        (TransferStatus::Failed | TransferStatus::InProcess, _) => Ok(Money::zero(amount.currency())),
    }
}

/// `read`: the batches whose files could be read; what we have of others is not held against the network.
pub fn match_lines(
    mut own: Vec<OwnTransfer>,
    mut lines: Vec<StatementLine>,
    read: &BTreeSet<BatchId>,
) -> Result<Matching, MoneyFault> {
    own.sort_by_key(|own| (own.name, own.batch, own.amount, own.status, own.institution, own.serial));
    lines.sort_by_key(|line| {
        (
            line.name,
            line.batch,
            line.amount,
            line.status,
            line.institution,
            line.serial,
        )
    });
    let mut matching = Matching::default();
    let (mut own, mut lines) = (own.as_slice(), lines.as_slice());
    loop {
        let names = [
            own.first().map(|first| first.name),
            lines.first().map(|first| first.name),
        ];
        let Some(name) = names.into_iter().flatten().min() else {
            break;
        };
        let (ours, own_rest) = own.split_at(own.partition_point(|transfer| transfer.name <= name));
        let (theirs, lines_rest) = lines.split_at(lines.partition_point(|line| line.name <= name));
        matching.take_group(ours, theirs, read)?;
        (own, lines) = (own_rest, lines_rest);
    }
    matching
        .differences
        .sort_by_key(|difference| (difference.class, difference.name));
    Ok(matching)
}

impl Matching {
    /// Everything of one name.
    fn take_group(
        &mut self,
        ours: &[OwnTransfer],
        theirs: &[StatementLine],
        read: &BTreeSet<BatchId>,
    ) -> Result<(), MoneyFault> {
        let mut pairs: Vec<_> = ours
            .iter()
            .enumerate()
            .flat_map(|(own, transfer)| {
                let of_line = move |(line, stated)| (DifferenceClass::of_pair(transfer, stated), own, line);
                theirs.iter().enumerate().map(of_line)
            })
            .collect();
        // full agreement first, then what differs least: the later a class is declared, the less it differs
        pairs.sort_by_key(|(class, own, line)| (class.map(std::cmp::Reverse), *own, *line));
        let (mut own_claimed, mut line_claimed) = (BTreeSet::new(), BTreeSet::new());
        for (class, own, line) in pairs {
            if own_claimed.contains(&own) || line_claimed.contains(&line) {
                continue;
            }
            own_claimed.insert(own);
            line_claimed.insert(line);
            match class {
                None => self.matched += 1,
                Some(class) => self.differ(class, ours.get(own), theirs.get(line))?,
            }
        }
        for (_, transfer) in ours.iter().enumerate().filter(|(own, _)| !own_claimed.contains(own)) {
            if read.contains(&transfer.batch) {
                self.differ(DifferenceClass::MissingThere, Some(transfer), None)?;
            } else {
                self.not_compared += 1;
            }
        }
        let unclaimed = if ours.is_empty() {
            DifferenceClass::MissingHere
        } else {
            DifferenceClass::DuplicateInStatement
        };
        let mut class = unclaimed;
        for (_, line) in theirs
            .iter()
            .enumerate()
            .filter(|(line, _)| !line_claimed.contains(line))
        {
            self.differ(class, None, Some(line))?;
            // what is missing here is missing once; stated again it is a duplicate
            class = DifferenceClass::DuplicateInStatement;
        }
        Ok(())
    }

    fn differ(
        &mut self,
        class: DifferenceClass,
        own: Option<&OwnTransfer>,
        line: Option<&StatementLine>,
    ) -> Result<(), MoneyFault> {
        if let Some(own) = own {
            let less = own.effect()?;
            let held = self
                .explained
                .entry((own.batch, less.currency()))
                .or_insert(Money::zero(less.currency()));
            *held = held.minus(less)?;
        }
        if let Some(line) = line {
            let more = effect(line.amount, line.direction, line.status)?;
            let held = self
                .explained
                .entry((line.batch, more.currency()))
                .or_insert(Money::zero(more.currency()));
            *held = held.plus(more)?;
        }
        let name = own.map(|own| own.name).or(line.map(|line| line.name));
        let (ours, theirs) = (own.map(OwnTransfer::seen), line.map(StatementLine::seen));
        self.differences.push(Difference {
            class,
            name,
            ours,
            theirs,
        });
        Ok(())
    }
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
