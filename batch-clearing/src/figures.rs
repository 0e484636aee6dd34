//! What each copy of the journals says of itself, and whether the copies agree. Pure.
//!
//! Figures are those of a shard's journal up to one record, the same for every copy: how far the ledger had come when
//! the comparison began. So the copies can be compared while the ledger goes on.

use std::collections::{BTreeMap, BTreeSet};

use ledger_journal::{ChainFault, ChainHash, ChainPosition, Event, JournalRecord};
use ledger_model::{Currency, Decision, ShardId, Side};
use ledger_protocol::ShardPosition;
use serde::{Deserialize, Serialize};

/// Debits and credits over all entries, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub debit_minor: i64,
    pub credit_minor: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardFigures {
    pub chain: ChainPosition,
    pub records: u64,
    pub posted: u64,
    pub refused: u64,
    pub sums: BTreeMap<Currency, Sums>,
    /// Why the copy could not be read up to the end.
    pub fault: Option<String>,
}

pub type Figures = BTreeMap<ShardId, ShardFigures>;

/// One figure of one shard in every copy, as shown. Also its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FigureLine {
    pub shard: u8,
    pub figure: String,
    pub ledger: String,
    /// Null where Kafka is not compared.
    pub kafka: Option<String>,
    pub postgres: String,
    pub agrees: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FigureFault {
    #[error(transparent)]
    Chain(#[from] ChainFault),
    #[error("a sum of entries is out of range")]
    OutOfRange,
}

impl ShardFigures {
    pub const fn start(shard: ShardId) -> Self {
        Self {
            chain: ChainPosition::start(shard),
            records: 0,
            posted: 0,
            refused: 0,
            sums: BTreeMap::new(),
            fault: None,
        }
    }

    /// Takes the shard's next record; one that was taken before changes nothing.
    pub fn take(&mut self, record: &JournalRecord, encoded: &[u8]) -> Result<(), FigureFault> {
        if record.shard == self.chain.shard && record.sequence <= self.chain.sequence {
            return Ok(());
        }
        self.chain = self.chain.follow(record, encoded)?;
        self.records += 1;
        match &record.event {
            Event::TransferDecided { transfer, .. } | Event::TransferHopped { transfer, .. } => match transfer.decision
            {
                Decision::Posted => self.posted += 1,
                Decision::Refused(_) => self.refused += 1,
            },
            Event::AccountOpened { .. }
            | Event::AgreementRecorded { .. }
            | Event::HopSettled { .. }
            | Event::HopClosed { .. }
            | Event::Administered { .. } => {}
        }
        for entry in record.event.entries() {
            let sums = self.sums.entry(entry.amount.currency()).or_default();
            let held = match entry.side {
                Side::Debit => &mut sums.debit_minor,
                Side::Credit => &mut sums.credit_minor,
            };
            *held = held.checked_add(entry.amount.minor()).ok_or(FigureFault::OutOfRange)?;
        }
        Ok(())
    }

    /// What the ledger says of a shard of its own.
    pub fn of_ledger(shard: ShardId, position: &ShardPosition) -> Self {
        let sums = position.sums.iter().map(|sum| {
            (
                sum.currency,
                Sums {
                    debit_minor: sum.debit_minor,
                    credit_minor: sum.credit_minor,
                },
            )
        });
        Self {
            chain: ChainPosition {
                shard,
                sequence: position.sequence,
                head: ChainHash(position.head),
            },
            records: position.sequence,
            posted: position.transfers_posted,
            refused: position.transfers_refused,
            sums: sums.collect(),
            fault: None,
        }
    }

    fn shown(&self, currencies: &BTreeSet<Currency>) -> Vec<(String, String)> {
        let mut lines = vec![
            ("records".to_owned(), self.records.to_string()),
            ("sequence".to_owned(), self.chain.sequence.to_string()),
            ("chain head".to_owned(), self.chain.head.to_string()),
            ("posted".to_owned(), self.posted.to_string()),
            ("refused".to_owned(), self.refused.to_string()),
        ];
        for currency in currencies {
            let sums = self.sums.get(currency).copied().unwrap_or_default();
            lines.push((format!("debit {currency}"), sums.debit_minor.to_string()));
            lines.push((format!("credit {currency}"), sums.credit_minor.to_string()));
        }
        lines.push((
            "read".to_owned(),
            self.fault.clone().unwrap_or_else(|| "to the end".to_owned()),
        ));
        lines
    }
}

/// Every figure of every shard that any copy has, side by side.
pub fn compare(ledger: &Figures, kafka: Option<&Figures>, postgres: &Figures) -> Vec<FigureLine> {
    let copies = || [Some(ledger), kafka, Some(postgres)].into_iter().flatten();
    let shards: BTreeSet<ShardId> = copies().flat_map(|copy| copy.keys().copied()).collect();
    let mut lines = Vec::new();
    for shard in shards {
        let of_shard = |copy: &Figures| copy.get(&shard).cloned().unwrap_or_else(|| ShardFigures::start(shard));
        let currencies = copies().flat_map(|copy| of_shard(copy).sums.into_keys()).collect();
        let mut kafka_shown = kafka.map(|kafka| of_shard(kafka).shown(&currencies).into_iter());
        let postgres_shown = of_shard(postgres).shown(&currencies);
        for ((figure, ledger), (_, postgres)) in of_shard(ledger).shown(&currencies).into_iter().zip(postgres_shown) {
            let kafka = kafka_shown.as_mut().and_then(Iterator::next).map(|(_, value)| value);
            let agrees = ledger == postgres && kafka.as_ref().is_none_or(|kafka| *kafka == ledger);
            lines.push(FigureLine {
                shard: shard.number(),
                figure,
                ledger,
                kafka,
                postgres,
                agrees,
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn figures(shard: u8, records: &[Vec<u8>]) -> Figures {
        let shard = sample::shard(shard);
        let mut figures = ShardFigures::start(shard);
        for encoded in records {
            let record = JournalRecord::decode(encoded).unwrap();
            if let Err(fault) = figures.take(&record, encoded) {
                figures.fault = Some(fault.to_string());
                break;
            }
        }
        [(shard, figures)].into()
    }

    fn check(ledger: &Figures, kafka: Option<&Figures>, postgres: &Figures, expected: &[&str]) {
        let lines = compare(ledger, kafka, postgres);
        let differing: Vec<_> = lines
            .iter()
            .filter(|line| !line.agrees)
            .map(|line| line.figure.as_str())
            .collect();
        assert_eq!(differing, expected);
    }

    #[test]
    fn copies_agree_or_the_figure_is_named() {
        let journal = sample::journal(sample::shard(0), 9);
        let whole = figures(0, &journal);
        check(&whole, Some(&whole), &whole, &[]);
        check(&whole, None, &whole, &[]);
        let doubled: Vec<_> = journal
            .iter()
            .flat_map(|record| [record.clone(), record.clone()])
            .collect();
        check(&whole, Some(&figures(0, &doubled)), &whole, &[]);
        let short = ["records", "sequence", "chain head", "posted", "debit CNY", "credit CNY"];
        check(&whole, Some(&whole), &figures(0, &journal[..8]), &short);
        check(&whole, Some(&figures(0, &journal[..8])), &whole, &short);
        let forked = figures(0, &sample::journal_of_amount(sample::shard(0), 9, 7));
        check(&whole, None, &forked, &["chain head", "debit CNY", "credit CNY"]);
    }

    #[test]
    fn a_gap_and_a_missing_shard_are_seen() {
        let journal = sample::journal(sample::shard(0), 4);
        let gap = figures(0, &[journal[0].clone(), journal[2].clone()]);
        let fault = gap.values().next().unwrap().fault.as_deref();
        assert_eq!(fault, Some("shard 0: record 3 where 2 was due"));
        let whole = figures(0, &journal[..1]);
        check(&whole, Some(&gap), &whole, &["read"]);
        let seen = compare(&whole, None, &Figures::new());
        assert!(seen.iter().any(|line| !line.agrees && line.postgres == "0"));
    }
}
