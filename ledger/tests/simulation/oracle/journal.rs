//! The journal of each shard, followed record by record as it becomes readable.

use ledger::books::Arrival;
use ledger_journal::{Event, EvidenceDigest, JournalRecord};
use ledger_model::{
    Account, Agreement, BankSerial, Decision, Entry, Instruction, LedgerAccount, Money, Payee, Payout, ShardId, Side,
    Transfer, TransferKey, UsageSubject,
};
use sha2::{Digest, Sha256};

use super::{Check, Decided, Held, Oracle, Rule, Standing, Sums, Violation, must};
use crate::bank::home;

impl Oracle {
    /// Takes the next records of a shard, as a reader gave them.
    /// Its store is under `epoch`.
    pub(crate) fn follow(&mut self, shard: ShardId, epoch: u64, records: &[Vec<u8>]) -> Check {
        let mut records = records.iter();
        records.try_for_each(|encoded| self.follow_one(shard, epoch, encoded))
    }

    fn follow_one(&mut self, shard: ShardId, epoch: u64, encoded: &[u8]) -> Check {
        let record = JournalRecord::decode(encoded).map_err(|fault| super::Violation {
            rule: Rule::L5,
            what: format!("shard {shard}: a record does not read: {fault}"),
        })?;
        let books = &mut self.books[shard.index()];
        let (expected, head) = (books.sequence + 1, books.head);
        must(record.shard == shard && record.sequence == expected, Rule::L5, || {
            format!(
                "shard {}: record {} where {expected} was due",
                record.shard, record.sequence
            )
        })?;
        must(record.previous.0 == head, Rule::L5, || {
            format!("shard {shard}: record {expected} does not follow from the one before")
        })?;
        books.sequence = expected;
        books.head = Sha256::digest(encoded).into();
        match record.event {
            Event::AccountOpened { account, entries } => self.opened(shard, account, &entries),
            Event::AgreementRecorded { agreement } => self.recorded(shard, agreement),
            Event::TransferDecided {
                transfer,
                entries,
                evidence,
            } => self.decided(shard, transfer, &entries, evidence),
            Event::Administered { act, operator, .. } => self.administered(shard, &act, operator.as_str()),
            Event::TransferHopped {
                transfer,
                entries,
                evidence,
                hop,
            } => self.taken_in(shard, transfer, &entries, evidence, hop),
            Event::HopSettled {
                transfer,
                decision,
                entries,
            } => self.settled(shard, epoch, transfer, decision, &entries),
            Event::HopClosed {
                transfer,
                state,
                entries,
            } => self.closed(shard, &transfer, state, &entries),
        }
    }

    fn opened(&mut self, shard: ShardId, account: Account, entries: &[Entry]) -> Check {
        let asked = self.loads.iter().any(|(accounts, _)| accounts.contains(&account));
        let fits =
            asked && home(self.site.shards, account.token) == shard && !self.accounts.contains_key(&account.token);
        must(fits, Rule::Decision, || {
            format!("nobody asked for this account: {account:?}")
        })?;
        let opened_with = account.balance;
        let mut empty = account;
        empty.balance = Money::zero(opened_with.currency());
        let held = Held {
            account: empty,
            opened_with,
        };
        let token = held.account.token;
        self.accounts.insert(token, held);
        let due: Vec<(LedgerAccount, Side, i64)> = if opened_with.minor() == 0 {
            Vec::new()
        } else {
            let minor = opened_with.minor();
            vec![
                (LedgerAccount::OpeningBalances, Side::Debit, minor),
                (LedgerAccount::Customer(token), Side::Credit, minor),
            ]
        };
        let found = entries
            .iter()
            .map(|entry| (entry.account, entry.side, entry.amount.minor()));
        must(found.eq(due), Rule::L1, || {
            format!("an opening has these entries: {entries:?}")
        })?;
        self.post(shard, entries)
    }

    fn recorded(&mut self, shard: ShardId, agreement: Agreement) -> Check {
        let asked = self.loads.iter().any(|(_, agreements)| agreements.contains(&agreement));
        let account_is_there = self.accounts.contains_key(&agreement.account);
        let known = self.agreements.contains_key(&agreement.number);
        let fits = asked && account_is_there && !known && home(self.site.shards, agreement.account) == shard;
        must(fits, Rule::Decision, || {
            format!("nobody asked for this agreement: {agreement:?}")
        })?;
        self.agreements.insert(agreement.number, agreement);
        Ok(())
    }

    fn decided(&mut self, shard: ShardId, transfer: Transfer, entries: &[Entry], evidence: EvidenceDigest) -> Check {
        let key = transfer.key;
        must(!self.decided.contains_key(&key), Rule::L4, || {
            format!("{} is decided a second time", key.id)
        })?;
        let place = self.asked(&transfer, evidence)?;
        let order = &self.orders[place];
        must(self.may_be_home(shard, &order.instruction), Rule::Decision, || {
            format!("request {place} is decided in shard {shard}, which is not its home")
        })?;
        let due = self.due(shard, &order.instruction);
        must(sums_of(entries).is_none_or(|differs| !differs), Rule::L1, || {
            format!("debits and credits differ: {entries:?}")
        })?;
        let found = (transfer.decision, transfer.account, entries);
        must(
            found == (due.decision, due.account, due.entries.as_slice()),
            Rule::Decision,
            || format!("request {place}: {found:?} where this was due: {due:?}"),
        )?;
        is_as_asked(place, &order.instruction, &transfer)?;
        let instruction = order.instruction.clone();
        self.is_serial_new(shard, &transfer)?;
        let mut hops = self.hops_of(key).filter(|hopped| hopped.order == place);
        must(
            hops.all(|hopped| super::hops::may_be_in_two_places(&instruction, hopped.hop)),
            Rule::Hop,
            || format!("request {place} was taken in elsewhere, and is decided at home too"),
        )?;
        drop(hops);
        self.count(shard, &instruction, transfer.decision);
        for entry in entries
            .iter()
            .filter(|entry| matches!(entry.account, LedgerAccount::Suspense | LedgerAccount::StandInAdvance))
        {
            let minor = match entry.side {
                Side::Debit => -entry.amount.minor(),
                Side::Credit => entry.amount.minor(),
            };
            let kept = self.besides.entry((entry.account, entry.amount.currency()));
            *kept.or_default() += minor;
        }
        let sequence = self.sequence(shard);
        self.decided.insert(
            key,
            Decided {
                shard,
                sequence,
                transfer,
                order: place,
                arrival: Arrival::Direct,
                refunded: 0,
                reversed: false,
                life: self.life,
            },
        );
        self.post(shard, entries)
    }

    /// The request that a record is about, by what was signed. It may still post.
    pub(super) fn asked(&self, transfer: &Transfer, evidence: EvidenceDigest) -> Result<usize, Violation> {
        let order = self.orders.iter().position(|order| order.digest == evidence.0);
        let Some(place) = order else {
            let what = format!("nobody asked for {transfer:?}");
            return Err(Violation {
                rule: Rule::Decision,
                what,
            });
        };
        let order = &self.orders[place];
        // the first attempt of what was posted elsewhere meanwhile may get there late
        let hopped = self
            .hops_of(transfer.key)
            .any(|hopped| hopped.order == place && super::hops::may_be_in_two_places(&order.instruction, hopped.hop));
        must(order.standing != Standing::Over || hopped, Rule::Denied, || {
            format!("request {place} was over, and its order is decided now: {transfer:?}")
        })?;
        let decided_ms = transfer.decided_at.seconds_since(self.began) * 1_000;
        let deadline_ms = i64::try_from(order.deadline_ms).unwrap();
        must(deadline_ms > decided_ms, Rule::Denied, || {
            format!("request {place} is decided at {decided_ms} ms, after its deadline at {deadline_ms} ms")
        })?;
        Ok(place)
    }

    pub(super) fn is_serial_new(&mut self, shard: ShardId, transfer: &Transfer) -> Check {
        let serial = transfer.serial.as_str().to_owned();
        must(self.serials.insert(serial), Rule::Decision, || {
            format!("serial {} was given before", transfer.serial)
        })?;
        let sequence = self.sequence(shard);
        let serial = BankSerial::issue(transfer.decided_at.date(), shard, sequence);
        must(transfer.serial == serial, Rule::Decision, || {
            format!("serial {} of record {sequence} of shard {shard}", transfer.serial)
        })
    }

    /// What names an account or an agreement of a shard is decided there.
    fn may_be_home(&self, shard: ShardId, instruction: &Instruction) -> bool {
        let account = match instruction {
            Instruction::Payout(Payout {
                payee: Payee::Account { token, .. },
                ..
            }) => Some(*token),
            Instruction::Supplement(supplement) => Some(supplement.account),
            Instruction::Payment(_) | Instruction::Refund(_) | Instruction::Payout(_) | Instruction::Reversal(_) => {
                None
            }
        };
        let agreement = super::answers::agreement(instruction).and_then(|number| self.agreements.get(&number));
        let account = account.or(agreement.map(|agreement| agreement.account));
        account.is_none_or(|token| home(self.site.shards, token) == shard)
    }

    /// What a decision counts for later ones.
    fn count(&mut self, shard: ShardId, instruction: &Instruction, decision: Decision) {
        let books = &mut self.books[shard.index()];
        if decision != Decision::Posted {
            books.refused += 1;
            return;
        }
        books.posted += 1;
        self.use_up(shard, instruction);
    }

    /// What a posting uses up at its home.
    pub(super) fn use_up(&mut self, shard: ShardId, instruction: &Instruction) {
        let books = &mut self.books[shard.index()];
        match instruction {
            Instruction::Payment(payment) => {
                let account = self.agreements[&payment.agreement].account;
                let mut subjects = vec![UsageSubject::Agreement(payment.agreement)];
                if self.limits.contains_key(&account) {
                    subjects.push(UsageSubject::Account(account));
                }
                for subject in subjects {
                    let used = books.used.entry((subject, payment.ordered_at.date())).or_default();
                    used.0 += 1;
                    used.1 += payment.amount.minor();
                }
            }
            Instruction::Refund(refund) => self.original(&refund.original).refunded += refund.amount.minor(),
            Instruction::Reversal(reversal) => {
                let original = self.original(&reversal.original);
                original.reversed = true;
                let order = original.order;
                // what a refund gave back may be refunded again
                if let Instruction::Refund(refund) = &self.orders[order].instruction {
                    let (payment, minor) = (refund.original, refund.amount.minor());
                    self.original(&payment).refunded -= minor;
                }
            }
            Instruction::Payout(_) | Instruction::Supplement(_) => {}
        }
    }

    fn original(&mut self, key: &TransferKey) -> &mut Decided {
        let original = self.decided.get_mut(key);
        original.expect("a posting was due only over what is there")
    }

    pub(super) fn post(&mut self, shard: ShardId, entries: &[Entry]) -> Check {
        let books = &mut self.books[shard.index()];
        for entry in entries {
            let money = entry.amount.money();
            let (minor, currency) = (money.minor(), money.currency());
            let add = |sums: &mut Sums| match entry.side {
                Side::Debit => sums.debit += minor,
                Side::Credit => sums.credit += minor,
            };
            add(books.totals.entry(currency).or_default());
            match entry.account {
                LedgerAccount::Customer(token) => {
                    let held = self
                        .accounts
                        .get_mut(&token)
                        .expect("an entry names an account that is there");
                    let balance = held.account.balance;
                    held.account.balance = match entry.side {
                        Side::Credit => balance.plus(money),
                        Side::Debit => balance.minus(money),
                    }
                    .expect("sums of a test are small");
                    let balance = held.account.balance.minor();
                    must(balance >= 0, Rule::L3, || format!("a balance is {balance}"))?;
                }
                internal => add(books.internal.entry((internal, currency)).or_default()),
            }
        }
        for (currency, sums) in &books.totals {
            must(sums.debit == sums.credit, Rule::L2, || {
                format!("shard {shard}, {}: {sums:?}", currency.as_str())
            })?;
        }
        Ok(())
    }

    /// What a reader gave as evidence of a record is what its request signed.
    pub(crate) fn evidence_is(&self, shard: ShardId, sequence: u64, sealed: Option<&[u8]>) -> Check {
        let mut all = self.decided.values().chain(self.superseded.values());
        let direct = all.find(|decided| {
            decided.shard == shard && decided.sequence == sequence && decided.arrival == Arrival::Direct
        });
        let hopped = self
            .hops
            .iter()
            .find(|((_, taker), hopped)| *taker == shard && hopped.sequence == sequence);
        let order = direct.map(|decided| decided.order);
        let order = order.or(hopped.map(|(_, hopped)| hopped.order));
        let due = order.map(crate::bank::evidence);
        let found = sealed.map(ledger::evidence::open).transpose();
        let same = matches!(&found, Ok(found) if *found == due);
        must(same, Rule::Rows, || {
            format!("evidence of record {sequence} of shard {shard}: {found:?}, not {due:?}")
        })
    }
}

/// The record says what the request said.
pub(super) fn is_as_asked(place: usize, asked: &Instruction, transfer: &Transfer) -> Check {
    let said = (
        transfer.kind,
        transfer.amount,
        transfer.batch,
        transfer.institution,
        transfer.details,
    );
    let as_asked = transfer.key == *asked.key()
        && said
            == (
                asked.kind(),
                asked.amount(),
                asked.batch(),
                asked.institution(),
                asked.details(),
            );
    must(as_asked, Rule::Decision, || {
        format!("request {place} asked for {asked:?}; recorded was {transfer:?}")
    })
}

/// Whether debits and credits differ; `None` where there are none.
fn sums_of(entries: &[Entry]) -> Option<bool> {
    let mut sum = 0;
    for entry in entries {
        match entry.side {
            Side::Debit => sum += entry.amount.minor(),
            Side::Credit => sum -= entry.amount.minor(),
        }
    }
    (!entries.is_empty()).then_some(sum != 0)
}

/// The digest a record carries of the evidence of a request.
pub(crate) fn digest_of(request: usize) -> [u8; 32] {
    let evidence = crate::bank::evidence(request);
    EvidenceDigest::over(&evidence.signed, &evidence.signature, &evidence.signing_serial).0
}
