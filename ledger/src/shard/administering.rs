//! Administration in the queue of a shard: what operators do, and questions about the books as they stand. Both come in
//! order with everything else, and are answered once the group they came in is durable.

use ledger_model::{
    AccountToken, Administration, AgreementNumber, BusinessDate, Decision, Instruction, Operator, Reason, UsageSubject,
};
use ledger_protocol::{
    AccountState, Adjusted, Administered, AgreementState, JournalPlace, NothingPosted, Rehearsed, Standing, Used,
};
use tokio::sync::oneshot;

use super::group::{Act, Rehearsal, Working, wanted_by_act, wanted_first, wanted_second};
use super::{Job, Shard};
use crate::books::{Books, Remembered, UsageKey};
use crate::engine::Defect;
use crate::outcome::Outcome;
use crate::view::Wanted;

/// Dropped without an answer by a shard that has ended, and so ends the wait for it.
pub(super) type Reply<T> = oneshot::Sender<Result<T, NothingPosted>>;

/// What an operator does.
#[derive(Debug)]
pub struct Administer {
    pub act: Administration,
    pub operator: Operator,
    pub reason: Reason,
    pub reply: Reply<Administered>,
}

/// What somebody wants to know.
#[derive(Debug)]
pub enum Ask {
    Account(AccountToken, Reply<Option<AccountState>>),
    Agreement(AgreementNumber, Reply<Option<AgreementState>>),
    /// A balance, and after which record it stands so.
    Standing(AccountToken, Reply<Standing>),
    /// What the instruction would come to.
    Rehearsal(Box<Instruction>, Reply<Adjusted>),
}

/// An answer that waits for its group to be durable.
pub(super) enum Pending {
    Act(Reply<Administered>, Administered),
    Account(Reply<Option<AccountState>>, Option<AccountState>),
    Agreement(Reply<Option<AgreementState>>, Option<AgreementState>),
    Standing(Reply<Standing>, Standing),
    Rehearsal(Reply<Adjusted>, Adjusted),
}

impl Shard {
    /// Waits for room in the queue.
    pub fn administer(&self, administer: Administer) {
        self.enqueue(Job::Administer(Box::new(administer)));
    }

    /// Waits for room in the queue.
    pub fn ask(&self, ask: Ask) {
        self.enqueue(Job::Ask(ask));
    }

    fn enqueue(&self, job: Job) {
        self.depth.inc();
        if self.queue.send(job).is_err() {
            self.depth.dec();
        }
    }
}

impl Administer {
    pub(super) fn wanted(&self, wanted: &mut Wanted) {
        wanted_by_act(&self.act, wanted);
    }

    pub(super) fn work(self, working: &mut Working) -> Pending {
        let Self {
            act,
            operator,
            reason,
            reply,
        } = self;
        let administered = match working.administer(&act, &operator, &reason) {
            Act::Done => Administered::Done(JournalPlace {
                shard: working.shard().number(),
                sequence: working.sequence(),
            }),
            Act::Unchanged => Administered::Unchanged,
            Act::Refused(why) => Administered::Refused(why.to_owned()),
        };
        // the journal says it as well; nothing of the customer's is in it
        tracing::info!(?act, %operator, %reason, outcome = ?administered, "an operator administers");
        Pending::Act(reply, administered)
    }

    pub(super) fn nothing_posted(self, reason: NothingPosted) {
        let _operator_has_gone = self.reply.send(Err(reason));
    }
}

fn of_account(token: AccountToken, date: BusinessDate) -> UsageKey {
    let subject = UsageSubject::Account(token);
    UsageKey { subject, date }
}

fn of_agreement(number: AgreementNumber, date: BusinessDate) -> UsageKey {
    let subject = UsageSubject::Agreement(number);
    UsageKey { subject, date }
}

impl Ask {
    pub(super) fn wanted_first(&self, today: BusinessDate, wanted: &mut Wanted) {
        match self {
            Self::Account(token, _) => {
                wanted.accounts.push(*token);
                wanted.limits.push(*token);
                wanted.usages.push(of_account(*token, today));
            }
            Self::Standing(token, _) => wanted.accounts.push(*token),
            Self::Agreement(number, _) => {
                wanted.agreements.push(*number);
                wanted.usages.push(of_agreement(*number, today));
            }
            Self::Rehearsal(instruction, _) => wanted_first(instruction, wanted),
        }
    }

    pub(super) fn wanted_second(&self, books: &impl Books, wanted: &mut Wanted) {
        match self {
            Self::Rehearsal(instruction, _) => wanted_second(instruction, books, wanted),
            Self::Account(..) | Self::Agreement(..) | Self::Standing(..) => {}
        }
    }

    /// The instruction that is rehearsed, whose key another shard may know.
    pub(super) const fn rehearsed(&self) -> Option<&Instruction> {
        match self {
            Self::Rehearsal(instruction, _) => Some(instruction),
            Self::Account(..) | Self::Agreement(..) | Self::Standing(..) => None,
        }
    }

    pub(super) fn work(self, working: &Working, elsewhere: Option<&Remembered>) -> Result<Pending, Defect> {
        let (books, shard, today) = (working.view(), working.shard().number(), working.now().date());
        let used = |key: UsageKey| {
            let used = books.usage(&key);
            Used {
                count: used.count,
                minor: used.sum_minor,
            }
        };
        Ok(match self {
            Self::Account(token, reply) => {
                let state = books.account(&token).map(|held| AccountState {
                    account: held.account.clone(),
                    opened_with: held.opened_with,
                    limits: books.limits(&token),
                    used_today: used(of_account(token, today)),
                    shard,
                });
                Pending::Account(reply, state)
            }
            Self::Agreement(number, reply) => {
                let state = books.agreement(&number).map(|agreement| AgreementState {
                    agreement: agreement.clone(),
                    used_today: used(of_agreement(number, today)),
                    shard,
                });
                Pending::Agreement(reply, state)
            }
            Self::Standing(token, reply) => {
                let standing = Standing {
                    shard,
                    sequence: working.sequence(),
                    balance: books.account(&token).map(|held| held.account.balance),
                };
                Pending::Standing(reply, standing)
            }
            Self::Rehearsal(instruction, reply) => {
                Pending::Rehearsal(reply, rehearsed(working.rehearse(&instruction, elsewhere)?))
            }
        })
    }

    pub(super) fn nothing_posted(self, reason: NothingPosted) {
        let _nobody_waits = match self {
            Self::Account(_, reply) => reply.send(Err(reason)).is_ok(),
            Self::Agreement(_, reply) => reply.send(Err(reason)).is_ok(),
            Self::Standing(_, reply) => reply.send(Err(reason)).is_ok(),
            Self::Rehearsal(_, reply) => reply.send(Err(reason)).is_ok(),
        };
    }
}

fn rehearsed(rehearsal: Rehearsal) -> Adjusted {
    match rehearsal {
        Rehearsal::New(verdict) => Adjusted::Rehearsed(Rehearsed {
            decision: verdict.decision,
            entries: match verdict.decision {
                Decision::Posted => verdict.entries,
                Decision::Refused(_) => Vec::new(),
            },
        }),
        Rehearsal::Known(outcome) => adjusted(outcome),
    }
}

/// An outcome of work as administrators are told it.
pub fn adjusted(outcome: Outcome) -> Adjusted {
    match outcome {
        Outcome::Decided { transfer, repeat } => Adjusted::Decided { transfer, repeat },
        Outcome::Conflict(field) => Adjusted::Conflict(field),
        Outcome::NothingPosted(reason) => Adjusted::NothingPosted(reason),
        Outcome::NotFound | Outcome::InProcess => Adjusted::InProcess,
    }
}

impl Pending {
    /// `durable`: the group they came in is.
    pub(super) fn answer(self, durable: bool) {
        fn send<T>(reply: Reply<T>, told: T, durable: bool) {
            let told = if durable { Ok(told) } else { Err(NothingPosted::Store) };
            let _nobody_waits = reply.send(told);
        }
        match self {
            Self::Act(reply, told) => send(reply, told, durable),
            Self::Account(reply, told) => send(reply, told, durable),
            Self::Agreement(reply, told) => send(reply, told, durable),
            Self::Standing(reply, told) => send(reply, told, durable),
            Self::Rehearsal(reply, told) => send(reply, told, durable),
        }
    }
}
