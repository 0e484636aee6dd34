//! The rows a shard keeps, compared with what its journal comes to.

use std::collections::BTreeMap;

use ledger::books::{
    Arrival, HeldAccount, HopRow, InternalAccount, InternalKey, Remembered, Said, SupplementPosting, UsageKey,
};
use ledger::store::{Store, StoreFault};
use ledger::view::{Rows, Wanted};
use ledger_model::{Instruction, Payee, ShardId, TransferKey};

use super::{Check, Oracle, Rule, must};
use crate::bank::home;

impl Oracle {
    /// Compares everything a shard holds, if its journal has grown since it was last compared.
    pub(crate) fn compare(&mut self, shard: ShardId, store: &dyn Store) -> Check {
        let books = &self.books[shard.index()];
        if books.compared == books.sequence {
            return Ok(());
        }
        let found = store
            .fetch(&self.wanted(shard))
            .map_err(|fault| unreadable(shard, &fault))?;
        self.compare_customers(shard, &found)?;
        self.compare_sums(shard, &found)?;
        self.compare_transfers(shard, &found)?;
        self.compare_state(shard, store)?;
        let books = &mut self.books[shard.index()];
        books.compared = books.sequence;
        Ok(())
    }

    /// The next comparison compares whatever the journal says.
    pub(crate) fn compare_anew(&mut self) {
        for books in &mut self.books {
            books.compared = u64::MAX;
        }
    }

    fn wanted(&self, shard: ShardId) -> Wanted {
        let books = &self.books[shard.index()];
        let here = |account| home(self.site.shards, account) == shard;
        let agreements = self.agreements.values().filter(|agreement| here(agreement.account));
        Wanted {
            accounts: self.accounts.keys().copied().filter(|token| here(*token)).collect(),
            agreements: agreements.map(|agreement| agreement.number).collect(),
            transfers: self.remembered(shard).into_keys().collect(),
            new: Vec::new(),
            usages: books
                .used
                .keys()
                .map(|(subject, date)| UsageKey {
                    subject: *subject,
                    date: *date,
                })
                .collect(),
            internal: books
                .internal
                .keys()
                .map(|(account, currency)| InternalKey {
                    account: InternalAccount::of(*account).expect("only the ledger's own are kept there"),
                    currency: *currency,
                })
                .collect(),
            limits: self.limits.keys().copied().filter(|token| here(*token)).collect(),
            hops: self
                .hops
                .keys()
                .filter(|(_, taker)| *taker == shard)
                .map(|(key, _)| *key)
                .collect(),
        }
    }

    /// What a shard has to remember under each key.
    fn remembered(&self, shard: ShardId) -> BTreeMap<TransferKey, Remembered> {
        let at_home = self.decided.values().filter(|decided| decided.shard == shard);
        let at_home = at_home.map(|decided| Remembered {
            sequence: decided.sequence,
            transfer: decided.transfer.clone(),
            said: said_by(&self.orders[decided.order].instruction),
            arrival: decided.arrival,
            refunded_minor: decided.refunded,
            reversed: decided.reversed,
        });
        let hops = self.hops.iter().filter(|((_, taker), _)| *taker == shard);
        let hops = hops.map(|(_, hopped)| Remembered {
            sequence: hopped.sequence,
            transfer: hopped.transfer.clone(),
            said: said_by(&self.orders[hopped.order].instruction),
            arrival: Arrival::Hopped,
            refunded_minor: 0,
            reversed: false,
        });
        at_home.chain(hops).map(|row| (row.transfer.key, row)).collect()
    }

    fn compare_customers(&self, shard: ShardId, found: &Rows) -> Check {
        let held = self.accounts.values();
        let here = held.filter(|held| home(self.site.shards, held.account.token) == shard);
        let due: Vec<HeldAccount> = here
            .map(|held| HeldAccount {
                account: held.account.clone(),
                opened_with: held.opened_with,
            })
            .collect();
        must(found.accounts == due, Rule::Rows, || {
            format!("shard {shard} holds {:?}; the journal comes to {due:?}", found.accounts)
        })?;
        let all = self.agreements.values();
        let here = all.filter(|agreement| home(self.site.shards, agreement.account) == shard);
        must(found.agreements.iter().eq(here), Rule::Rows, || {
            format!("shard {shard} holds {:?}", found.agreements)
        })
    }

    fn compare_sums(&self, shard: ShardId, found: &Rows) -> Check {
        let books = &self.books[shard.index()];
        let usages = found
            .usages
            .iter()
            .map(|(key, used)| ((key.subject, key.date), (used.count, used.sum_minor)));
        must(
            usages.eq(books.used.iter().map(|(day, used)| (*day, *used))),
            Rule::Rows,
            || format!("shard {shard} counts {:?}, not {:?}", found.usages, books.used),
        )?;
        let internal = found.internal.iter();
        let internal = internal.map(|(key, sums)| (*key, (sums.debit_minor, sums.credit_minor)));
        let due = books.internal.iter().map(|((account, currency), sums)| {
            let account = InternalAccount::of(*account).expect("only the ledger's own are kept there");
            (account.in_currency(*currency), (sums.debit, sums.credit))
        });
        must(internal.eq(due), Rule::Rows, || {
            format!("shard {shard} holds {:?}, not {:?}", found.internal, books.internal)
        })
    }

    fn compare_transfers(&self, shard: ShardId, found: &Rows) -> Check {
        let due: Vec<Remembered> = self.remembered(shard).into_values().collect();
        must(found.transfers == due, Rule::Rows, || {
            format!("shard {shard} remembers {:?}; due is {due:?}", found.transfers)
        })?;
        let taken_in = self.hops.iter().filter(|((_, taker), _)| *taker == shard);
        let due = taken_in.map(|(_, hopped)| HopRow {
            transfer: hopped.transfer.clone(),
            said: said_by(&self.orders[hopped.order].instruction),
            hop: hopped.hop,
            state: hopped.state,
        });
        let due: Vec<HopRow> = due.collect();
        must(found.hops == due, Rule::Rows, || {
            format!("shard {shard} has taken in {:?}; due is {due:?}", found.hops)
        })
    }

    /// What a shard knows of itself, where it knows of its last commit.
    fn compare_state(&self, shard: ShardId, store: &dyn Store) -> Check {
        let (state, books) = (store.state(), &self.books[shard.index()]);
        if state.sequence < books.sequence {
            return Ok(());
        }
        let totals = state.totals.iter();
        let totals = totals.map(|(currency, sums)| (*currency, (sums.debit_minor, sums.credit_minor)));
        let due = books.totals.iter();
        let due = due.map(|(currency, sums)| (*currency, (sums.debit, sums.credit)));
        must(totals.eq(due), Rule::L2, || {
            format!("shard {shard} sums to {:?}, not {:?}", state.totals, books.totals)
        })?;
        must(state.closed_through == books.closed_through, Rule::Rows, || {
            format!(
                "shard {shard} is closed through {:?}, not {:?}",
                state.closed_through, books.closed_through
            )
        })?;
        let found = (
            state.sequence,
            state.head.0,
            state.transfers_posted,
            state.transfers_refused,
        );
        must(
            found == (books.sequence, books.head, books.posted, books.refused),
            Rule::L5,
            || format!("shard {shard} says of itself {state:?}"),
        )
    }
}

fn unreadable(shard: ShardId, fault: &StoreFault) -> super::Violation {
    super::Violation {
        rule: Rule::Opens,
        what: format!("rows of shard {shard} do not read: {fault}"),
    }
}

/// What an order said beyond what its transfer keeps.
fn said_by(order: &Instruction) -> Said {
    let mut said = Said {
        ordered_at: order.ordered_at(),
        name: None,
        original_amount: None,
        original_serial: None,
        supplement: None,
    };
    match order {
        Instruction::Payment(_) | Instruction::Reversal(_) => {}
        Instruction::Refund(refund) => {
            said.original_amount = Some(refund.original_amount);
            said.original_serial = refund.original_serial;
        }
        Instruction::Payout(payout) => {
            if let Payee::Account { name, .. } = payout.payee {
                said.name = Some(name);
            }
        }
        Instruction::Supplement(supplement) => {
            said.supplement = Some(SupplementPosting {
                side: supplement.side,
                against: supplement.against,
            });
        }
    }
    said
}
