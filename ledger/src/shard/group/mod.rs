//! One group of work over one shard, decided in order: pure, given the rows.
//!
//! [`Working`] collects what the group comes to. Nothing of it is seen by anybody before [`Working::into_group`] was
//! committed; then the answers go out.

mod hops;
mod wanted;

use std::collections::BTreeMap;

use ledger_journal::{ChainHash, Event, EvidenceDigest, JournalRecord};
use ledger_model::{
    Account, AccountLimits, AccountToken, Administration, Agreement, BankSerial, ChinaTime, Decision, Instruction,
    Invariant, Operator, Reason, ShardCount, ShardId, Transfer, TransferKey,
};
use ledger_protocol::NewAccount;

pub use self::wanted::{
    wanted_by_account, wanted_by_act, wanted_by_agreement, wanted_by_closing, wanted_by_hop, wanted_by_loading,
    wanted_by_new, wanted_by_settlement_first, wanted_by_settlement_second, wanted_first, wanted_second,
};
use crate::books::{Arrival, Books, Remembered, Said};
use crate::engine::{
    self, Administered, Changes, Defect, Opened, Recognised, Recorded, Verdict, account_named, agreement_named,
    recognise,
};
use crate::evidence::SealedEvidence;
use crate::outcome::Outcome;
use crate::state::ShardState;
use crate::store::Group;
use crate::view::View;

/// Why limits are set that come with a new account.
const LOADED: &str = "loaded with the account";

/// What came of one account or agreement to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    New,
    Unchanged,
    /// There already, with another status, limits or terms, which stay.
    Kept,
    Refused(&'static str),
}

/// What came of an operator's act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Done,
    Unchanged,
    Refused(&'static str),
}

/// What an instruction would come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rehearsal {
    /// Its key was used before.
    Known(Outcome),
    New(Verdict),
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
    /// Number of the last record before the group.
    before: u64,
}

impl Working {
    pub fn over(shards: ShardCount, state: ShardState, now: ChinaTime) -> Self {
        let view = View::over(&state);
        let before = state.sequence;
        Self {
            shards,
            now,
            view,
            state,
            records: Vec::new(),
            evidence: Vec::new(),
            before,
        }
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    pub fn view_mut(&mut self) -> &mut View {
        &mut self.view
    }

    /// Number of the last record, of this group or an earlier one.
    pub fn sequence(&self) -> u64 {
        self.state.sequence
    }

    pub const fn shard(&self) -> ShardId {
        self.state.shard
    }

    /// Whether what the shard holds under the key is of this group, and so not durable yet.
    pub fn is_of_this_group(&self, key: &TransferKey) -> bool {
        self.view.transfer(key).is_some_and(|row| row.sequence > self.before)
    }

    /// When the group is decided.
    pub const fn now(&self) -> ChinaTime {
        self.now
    }

    /// What an instruction would come to if it were decided now. Nothing is changed by it.
    pub fn rehearse(&self, instruction: &Instruction, elsewhere: Option<&Remembered>) -> Result<Rehearsal, Defect> {
        if let Some(outcome) = self.known(instruction, elsewhere) {
            return Ok(Rehearsal::Known(outcome));
        }
        engine::decide(&self.view, instruction).map(Rehearsal::New)
    }

    pub fn is_unchanged(&self) -> bool {
        self.records.is_empty()
    }

    /// Answers what is known of an instruction. What is not known may be decided where nobody can look now.
    pub fn recall(&self, instruction: &Instruction, elsewhere: Option<&Remembered>) -> Outcome {
        self.known(instruction, elsewhere).unwrap_or(Outcome::InProcess)
    }

    /// Answers what is known of an instruction that may be posted where nobody can look now: a refusal may not be the last
    /// that was said of it.
    pub fn recall_posted(&self, instruction: &Instruction, elsewhere: Option<&Remembered>) -> Outcome {
        match self.recall(instruction, elsewhere) {
            Outcome::Decided { transfer, .. } if transfer.decision != Decision::Posted => Outcome::InProcess,
            outcome => outcome,
        }
    }

    /// Decides one instruction. `elsewhere` is what another shard holds under its key.
    pub fn post(
        &mut self,
        instruction: &Instruction,
        evidence: SealedEvidence,
        elsewhere: Option<&Remembered>,
    ) -> Result<Outcome, Defect> {
        if let Some(outcome) = self.known(instruction, elsewhere) {
            return Ok(outcome);
        }
        let verdict = engine::decide(&self.view, instruction)?;
        #[cfg(feature = "mutations")]
        let verdict = crate::mutation::verdict(&self.view, instruction, verdict);
        let Verdict {
            decision,
            account,
            entries,
            changes,
        } = verdict;
        let transfer = self.transfer(instruction, decision, account);
        self.view.apply(changes);
        self.remember(&transfer, Said::by(instruction), Arrival::Direct);
        let digest = self.keep(evidence);
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

    /// What a key that was used before answers.
    fn known(&self, instruction: &Instruction, elsewhere: Option<&Remembered>) -> Option<Outcome> {
        let here = self.view.transfer(instruction.key());
        let remembered = match (here, elsewhere) {
            (Some(here), Some(there)) if there.precedence() > here.precedence() => Some(there),
            (here, there) => here.or(there),
        };
        let recognised = recognise(remembered, instruction);
        #[cfg(feature = "mutations")]
        let recognised = crate::mutation::recognised(recognised, remembered);
        match recognised {
            Recognised::Repeat(transfer) => Some(Outcome::Decided {
                transfer: transfer.clone(),
                repeat: true,
            }),
            Recognised::Conflict(field) => Some(Outcome::Conflict(field)),
            Recognised::New => None,
        }
    }

    /// The transfer that the next record decides.
    fn transfer(&self, instruction: &Instruction, decision: Decision, account: Option<AccountToken>) -> Transfer {
        Transfer {
            key: *instruction.key(),
            kind: instruction.kind(),
            amount: instruction.amount(),
            batch: instruction.batch(),
            institution: instruction.institution(),
            agreement: agreement_named(instruction),
            account: account.or(account_named(instruction)),
            original: instruction.original(),
            details: instruction.details(),
            decision,
            serial: BankSerial::issue(self.now.date(), self.state.shard, self.state.sequence + 1),
            decided_at: self.now,
        }
    }

    /// Under the number of the next record.
    fn remember(&mut self, transfer: &Transfer, said: Said, arrival: Arrival) {
        match (arrival, transfer.decision) {
            (Arrival::Direct | Arrival::Hopped, Decision::Posted) => self.state.transfers_posted += 1,
            (Arrival::Direct | Arrival::Hopped, Decision::Refused(_)) => self.state.transfers_refused += 1,
            // counted where it was taken in
            (Arrival::Settled(_), _) => {}
        }
        self.view.remember(Remembered {
            sequence: self.state.sequence + 1,
            transfer: transfer.clone(),
            said,
            arrival,
            refunded_minor: 0,
            reversed: false,
        });
    }

    /// Evidence of the next record.
    fn keep(&mut self, evidence: SealedEvidence) -> EvidenceDigest {
        let SealedEvidence { digest, packed } = evidence;
        self.evidence.push((self.state.sequence + 1, packed));
        digest
    }

    /// Without limits.
    pub fn open_account(&mut self, account: &Account) -> Result<Loaded, Defect> {
        self.open(account, None)
    }

    /// Its limits are set in a record of their own, as an operator does.
    pub fn load_account(&mut self, new: &NewAccount, operator: &Operator) -> Result<Loaded, Defect> {
        let NewAccount { account, limits } = new;
        let loaded = self.open(account, *limits)?;
        if loaded == Loaded::New && limits.is_some() {
            let act = Administration::AccountLimits {
                account: account.token,
                limits: *limits,
            };
            let reason = LOADED.parse().expect("a short line is a reason");
            let _limits_of_a_new_account = self.administer(&act, operator, &reason);
        }
        Ok(loaded)
    }

    fn open(&mut self, account: &Account, limits: Option<AccountLimits>) -> Result<Loaded, Defect> {
        Ok(match engine::open_account(&self.view, account, limits)? {
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
            Opened::Kept => Loaded::Kept,
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
            Recorded::Kept => Loaded::Kept,
            Recorded::Refused(reason) => Loaded::Refused(reason),
        }
    }

    /// What an operator does, and why.
    pub fn administer(&mut self, act: &Administration, operator: &Operator, reason: &Reason) -> Act {
        match engine::administer(&self.view, act) {
            Administered::Changed(changes) => {
                let event = Event::Administered {
                    act: act.clone(),
                    operator: operator.clone(),
                    reason: reason.clone(),
                };
                self.record_changes(event, changes);
                Act::Done
            }
            Administered::Unchanged => Act::Unchanged,
            Administered::Refused(reason) => Act::Refused(reason),
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
        #[cfg(feature = "mutations")]
        let (sequence, previous) = match () {
            () if crate::mutation::is(crate::mutation::Mutation::NumberSkipped) => (sequence + 1, previous),
            () if crate::mutation::is(crate::mutation::Mutation::ChainCut) => (sequence, ChainHash::START),
            () => (sequence, previous),
        };
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
        self.state.closed_through = self.view.closed_through();
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
