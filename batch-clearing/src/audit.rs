//! The audit of net positions: what was kept as records arrived against what the entries add up to. Pure.

use std::collections::BTreeSet;

use ledger_model::{Invariant, Money};

use crate::netting::{NetFault, NetKey, Nets};

/// A broken invariant and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    pub place: String,
}

/// C1 of what is stored, and C3: stored against recomputed.
pub fn check_nets(stored: &Nets, recomputed: &Nets) -> Result<Vec<Violation>, NetFault> {
    let unbalanced = stored.balance()?.into_iter().filter(|(_, sum)| sum.minor() != 0);
    let mut violations: Vec<_> = unbalanced
        .map(|((batch, _), sum)| Violation {
            invariant: Invariant::C1,
            place: format!("batch {batch} sums to {sum}"),
        })
        .collect();
    let keys: BTreeSet<NetKey> = stored.iter().chain(recomputed.iter()).map(|(key, _)| *key).collect();
    for key in keys {
        let (kept, counted) = (stored.sums(&key), recomputed.sums(&key));
        if kept == counted {
            continue;
        }
        let money = |net: Option<i64>| net.map(|minor| Money::new(minor, key.currency)).ok_or(NetFault(key));
        let place = format!(
            "batch {}, {}: stored {} of {} transfers, recomputed {} of {}",
            key.batch,
            key.institution,
            money(kept.net_minor())?,
            kept.posted,
            money(counted.net_minor())?,
            counted.posted,
        );
        violations.push(Violation {
            invariant: Invariant::C3,
            place,
        });
    }
    Ok(violations)
}

#[cfg(test)]
mod tests {
    use ledger_model::TransferKind;

    use super::*;
    use crate::netting::NetSums;
    use crate::sample;

    fn nets(postings: &[(TransferKind, i64)]) -> Nets {
        let mut nets = Nets::default();
        for (kind, minor) in postings {
            let (transfer, entries) = sample::transfer(*kind, 1, *minor);
            nets.take(sample::bank(), &transfer, &entries).unwrap();
        }
        nets
    }

    fn check(stored: &Nets, recomputed: &Nets, expected: &[&str]) {
        let violations = check_nets(stored, recomputed).unwrap();
        let said: Vec<_> = violations
            .iter()
            .map(|found| format!("{:?} {}", found.invariant, found.place))
            .collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn what_is_kept_is_what_the_entries_say() {
        let two = nets(&[(TransferKind::Payment, 500), (TransferKind::Refund, 200)]);
        check(&two, &two, &[]);
        check(&Nets::default(), &Nets::default(), &[]);
        check(
            &nets(&[(TransferKind::Payment, 500)]),
            &two,
            &[
                "C3 batch B202603020002, C1030131001234: stored CNY-5.00 of 1 transfers, recomputed CNY-3.00 of 2",
                "C3 batch B202603020002, Z2000000000002: stored CNY5.00 of 1 transfers, recomputed CNY3.00 of 2",
            ],
        );
    }

    #[test]
    fn a_batch_that_does_not_balance_is_named() {
        let mut bent = nets(&[(TransferKind::Payment, 500)]);
        let key = NetKey {
            batch: sample::batch(2),
            institution: sample::bank(),
            currency: ledger_model::Currency::CNY,
        };
        bent.add(
            key,
            NetSums {
                posted: 0,
                debit_minor: 0,
                credit_minor: 1,
            },
        )
        .unwrap();
        check(&bent, &bent, &["C1 batch B202603020002 sums to CNY0.01"]);
    }
}
