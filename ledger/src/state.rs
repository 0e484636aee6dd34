//! What a shard knows of itself: how far its journal has come, its counts and sums.

use std::collections::BTreeMap;

use ledger_journal::ChainHash;
use ledger_model::{BusinessDate, Currency, Invariant, ShardId};
use ledger_protocol::{CurrencySum, ShardPosition};

use crate::books::Sides;
use crate::engine::Defect;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardState {
    pub shard: ShardId,
    /// Number of the last record, 0 before the first.
    pub sequence: u64,
    /// Hash of the last record.
    pub head: ChainHash,
    /// Number of the last record known to be in Kafka.
    pub shipped: u64,
    pub transfers_posted: u64,
    pub transfers_refused: u64,
    /// The last business date that is closed.
    pub closed_through: Option<BusinessDate>,
    /// Over all entries.
    pub totals: BTreeMap<Currency, Sides>,
}

impl ShardState {
    pub const fn empty(shard: ShardId) -> Self {
        Self {
            shard,
            sequence: 0,
            head: ChainHash::START,
            shipped: 0,
            transfers_posted: 0,
            transfers_refused: 0,
            closed_through: None,
            totals: BTreeMap::new(),
        }
    }

    pub fn position(&self) -> ShardPosition {
        let sums = self.totals.iter().map(|(currency, sides)| CurrencySum {
            currency: *currency,
            debit_minor: sides.debit_minor,
            credit_minor: sides.credit_minor,
        });
        ShardPosition {
            shard: self.shard.number(),
            sequence: self.sequence,
            head: self.head.0,
            shipped: self.shipped,
            transfers_posted: self.transfers_posted,
            transfers_refused: self.transfers_refused,
            sums: sums.collect(),
            shipping: None,
            closed_through: self.closed_through,
            base: None,
        }
    }

    /// Invariant L2.
    pub fn check_balanced(&self) -> Result<(), Defect> {
        let balanced = self
            .totals
            .values()
            .all(|sides| sides.debit_minor == sides.credit_minor);
        let what = "debits and credits of the shard differ";
        if balanced {
            Ok(())
        } else {
            Err(Defect {
                invariant: Invariant::L2,
                what,
            })
        }
    }
}
