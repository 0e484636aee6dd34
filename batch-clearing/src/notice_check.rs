//! The clearing notice against our own journal, batch by batch. Pure.
//!
//! A mismatch that the differences of the lines add up to is explained and not a difference of its own.

use std::collections::{BTreeMap, BTreeSet};

use ledger_model::{BatchId, Currency, Money, MoneyFault};
use serde::{Deserialize, Serialize};

use crate::matching::{Difference, DifferenceClass, OwnTransfer, Seen};
use crate::statement::Notice;

/// One batch of the notice. Also its JSON; amounts are the bank's, negative when it owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeLine {
    pub batch_id: String,
    pub currency: String,
    pub our_net_minor: i64,
    pub notice_net_minor: i64,
    /// How much of the mismatch the differences of the lines add up to.
    pub explained_minor: i64,
    pub remainder_minor: i64,
    /// `equal`, `explained` or `differs`.
    pub verdict: String,
}

type Nets = BTreeMap<(BatchId, Currency), Money>;

/// The bank's net of our successful transfers, by batch.
pub fn own_nets(own: &[OwnTransfer]) -> Result<Nets, MoneyFault> {
    let mut nets = Nets::new();
    for transfer in own {
        let effect = transfer.effect()?;
        let held = nets
            .entry((transfer.batch, effect.currency()))
            .or_insert(Money::zero(effect.currency()));
        *held = held.plus(effect)?;
    }
    Ok(nets)
}

/// A line for every batch that either side has, and a difference for each that is not explained.
pub fn check(own: &Nets, notice: &Notice, explained: &Nets) -> Result<(Vec<NoticeLine>, Vec<Difference>), MoneyFault> {
    let keys: BTreeSet<_> = own.keys().chain(notice.nets.keys()).copied().collect();
    let (mut lines, mut differences) = (Vec::new(), Vec::new());
    for (batch, currency) in keys {
        let zero = Money::zero(currency);
        let of = |nets: &Nets| nets.get(&(batch, currency)).copied().unwrap_or(zero);
        let (ours, theirs, explained) = (of(own), of(&notice.nets), of(explained));
        let mismatch = theirs.minus(ours)?;
        let remainder = mismatch.minus(explained)?;
        let verdict = if mismatch == zero {
            "equal"
        } else if remainder == zero {
            "explained"
        } else {
            let seen = |amount| {
                Some(Seen {
                    batch,
                    amount,
                    institution: None,
                    status: None,
                })
            };
            let (ours, theirs) = (seen(ours), seen(theirs));
            differences.push(Difference {
                class: DifferenceClass::NoticeDiffers,
                name: None,
                ours,
                theirs,
            });
            "differs"
        };
        lines.push(NoticeLine {
            batch_id: batch.to_string(),
            currency: currency.to_string(),
            our_net_minor: ours.minor(),
            notice_net_minor: theirs.minor(),
            explained_minor: explained.minor(),
            remainder_minor: remainder.minor(),
            verdict: verdict.to_owned(),
        });
    }
    Ok((lines, differences))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn nets(minor: &[i64]) -> Nets {
        let numbered = (1..).zip(minor);
        let net = |(number, minor): (u64, &i64)| {
            (
                (sample::batch(number), Currency::CNY),
                Money::new(*minor, Currency::CNY),
            )
        };
        numbered.map(net).collect()
    }

    fn check_case(ours: &[i64], theirs: &[i64], explained: &[i64], verdicts: &[&str]) {
        let notice = Notice { nets: nets(theirs) };
        let (lines, differences) = check(&nets(ours), &notice, &nets(explained)).unwrap();
        let said: Vec<_> = lines.iter().map(|line| line.verdict.as_str()).collect();
        assert_eq!(said, verdicts);
        assert_eq!(
            differences.len(),
            said.iter().filter(|verdict| **verdict == "differs").count()
        );
    }

    #[test]
    fn equal_explained_or_a_difference() {
        check_case(&[-500, 300], &[-500, 300], &[], &["equal", "equal"]);
        check_case(&[-500], &[-700], &[-200], &["explained"]);
        check_case(&[-500], &[-700], &[-100], &["differs"]);
        check_case(&[-500], &[-700], &[], &["differs"]);
        check_case(&[-500], &[], &[500], &["explained"]);
        check_case(&[-500], &[], &[], &["differs"]);
        check_case(&[], &[-500], &[], &["differs"]);
        check_case(&[0], &[], &[], &["equal"]);
        // the lines differ but the notice is ours: what the network will settle is right
        check_case(&[-500], &[-500], &[-200], &["equal"]);
    }
}
