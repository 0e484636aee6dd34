//! One group of work over one shard, decided in order: pure, given the rows.
//!
//! [`Working`] collects what the group comes to. Nothing of it is seen by anybody before [`Working::into_group`] was
//! committed; then the answers go out.

use std::collections::BTreeMap;

use ledger_journal::{ChainHash, Event, JournalRecord};
use ledger_model::{Account, Agreement, BankSerial, ChinaTime, Decision, Instruction, Invariant, ShardCount, Transfer};

use crate::books::{Books, ClearingKey, Remembered, Said, UsageKey};
use crate::engine::{
    self, Changes, Defect, Opened, Recognised, Recorded, Verdict, account_named, agreement_named, recognise,
};
use crate::evidence::SealedEvidence;
use crate::outcome::Outcome;
use crate::state::ShardState;
use crate::store::Group;
use crate::view::{View, Wanted};

/// What came of one account or agreement to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    New,
    Unchanged,
    Refused(&'static str),
}

#[derive(Debug)]
pub struct Working {
    shards: ShardCount,
    /// When the group is decided and committed.
    now: ChinaTime,
    view: View,
    state: ShardState,
    records: Vec<(u64, Vec<u8>)>,
    evidence: Vec<(u64, Vec<u8>)>,
}

/// Rows an instruction names itself.
pub fn wanted_first(instruction: &Instruction, wanted: &mut Wanted) {
    wanted.transfers.push(*instruction.key());
    wanted.agreements.extend(agreement_named(instruction));
    wanted.accounts.extend(account_named(instruction));
    wanted.clearing.push(ClearingKey {
        batch: instruction.batch(),
        currency: instruction.amount().currency(),
    });
    match instruction {
        Instruction::Payment(payment) => {
            wanted.usages.push(UsageKey {
                agreement: payment.agreement,
                date: payment.ordered_at.date(),
            });
        }
        Instruction::Refund(refund) => wanted.transfers.push(refund.original),
        Instruction::Payout(_) => {}
    }
}

/// Rows that those name in turn.
pub fn wanted_second(instruction: &Instruction, books: &impl Books, wanted: &mut Wanted) {
    if let Some(agreement) = agreement_named(instruction).and_then(|number| books.agreement(&number)) {
        wanted.accounts.push(agreement.account);
    }
    if let Instruction::Refund(refund) = instruction {
        let original = books.transfer(&refund.original);
        wanted
            .accounts
            .extend(original.and_then(|original| original.transfer.account));
    }
}

impl Working {
    pub fn over(shards: ShardCount, state: ShardState, now: ChinaTime) -> Self {
        let view = View::over(state.totals.clone());
        Self {
            shards,
            now,
            view,
            state,
            records: Vec::new(),
            evidence: Vec::new(),
        }
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    pub fn view_mut(&mut self) -> &mut View {
        &mut self.view
    }

    pub fn is_unchanged(&self) -> bool {
        self.records.is_empty()
    }

    /// Decides one instruction. `elsewhere` is what another shard holds under its key.
    pub fn post(
        &mut self,
        instruction: &Instruction,
        evidence: SealedEvidence,
        elsewhere: Option<&Remembered>,
    ) -> Result<Outcome, Defect> {
        match recognise(self.view.transfer(instruction.key()).or(elsewhere), instruction) {
            Recognised::Repeat(transfer) => {
                return Ok(Outcome::Decided {
                    transfer: transfer.clone(),
                    repeat: true,
                });
            }
            Recognised::Conflict(field) => return Ok(Outcome::Conflict(field)),
            Recognised::New => {}
        }
        let Verdict {
            decision,
            account,
            entries,
            changes,
        } = engine::decide(&self.view, instruction)?;
        match decision {
            Decision::Posted => self.state.transfers_posted += 1,
            Decision::Refused(_) => self.state.transfers_refused += 1,
        }
        let sequence = self.state.sequence + 1;
        let transfer = Transfer {
            key: *instruction.key(),
            kind: instruction.kind(),
            amount: instruction.amount(),
            batch: instruction.batch(),
            institution: instruction.institution(),
            agreement: agreement_named(instruction),
            account: account.or(account_named(instruction)),
            original: match instruction {
                Instruction::Refund(refund) => Some(refund.original),
                Instruction::Payment(_) | Instruction::Payout(_) => None,
            },
            details: instruction.details(),
            decision,
            serial: BankSerial::issue(self.now.date(), self.state.shard, sequence),
            decided_at: self.now,
        };
        let SealedEvidence { digest, packed } = evidence;
        self.evidence.push((sequence, packed));
        self.view.apply(changes);
        let said = Said::by(instruction);
        self.view.remember(Remembered {
            sequence,
            transfer: transfer.clone(),
            said,
            refunded_minor: 0,
        });
        self.record(Event::TransferDecided {
            transfer: transfer.clone(),
            entries,
            evidence: digest,
        });
        Ok(Outcome::Decided {
            transfer,
            repeat: false,
        })
    }

    pub fn open_account(&mut self, account: &Account) -> Result<Loaded, Defect> {
        Ok(match engine::open_account(&self.view, account)? {
            Opened::New { entries, changes } => {
                self.record_changes(
                    Event::AccountOpened {
                        account: account.clone(),
                        entries,
                    },
                    changes,
                );
                Loaded::New
            }
            Opened::Unchanged => Loaded::Unchanged,
            Opened::Refused(reason) => Loaded::Refused(reason),
        })
    }

    pub fn record_agreement(&mut self, agreement: &Agreement) -> Loaded {
        match engine::record_agreement(&self.view, self.shards, agreement) {
            Recorded::New(changes) => {
                self.record_changes(
                    Event::AgreementRecorded {
                        agreement: agreement.clone(),
                    },
                    changes,
                );
                Loaded::New
            }
            Recorded::Unchanged => Loaded::Unchanged,
            Recorded::Refused(reason) => Loaded::Refused(reason),
        }
    }

    fn record_changes(&mut self, event: Event, changes: Changes) {
        self.view.apply(changes);
        self.record(event);
    }

    /// The next record of the chain (invariant L5).
    fn record(&mut self, event: Event) {
        let sequence = self.state.sequence + 1;
        let previous = self.state.head;
        let record = JournalRecord {
            shard: self.state.shard,
            sequence,
            previous,
            committed_at: self.now,
            event,
        };
        let encoded = record.encode();
        self.state.sequence = sequence;
        self.state.head = ChainHash::of(&encoded);
        self.records.push((sequence, encoded));
    }

    /// All that is to be committed; `shipped` is how far Kafka has come meanwhile.
    pub fn into_group(mut self, shipped: u64) -> Result<Group, Defect> {
        let totals: &BTreeMap<_, _> = self.view.all_totals();
        self.state.totals.clone_from(totals);
        self.state.check_balanced()?;
        if shipped > self.state.sequence {
            return Err(Defect {
                invariant: Invariant::L6,
                what: "more was shipped than is committed",
            });
        }
        self.state.shipped = shipped.max(self.state.shipped);
        let Self {
            view,
            state,
            records,
            evidence,
            ..
        } = self;
        Ok(Group {
            rows: view.into_changed(),
            records,
            evidence,
            state,
        })
    }
}
