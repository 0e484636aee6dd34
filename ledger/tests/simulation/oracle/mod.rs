//! The oracle: what the books must be, worked out anew from the journal and from what clients sent, by rules written
//! here and not taken from the engine.
//!
//! The journal says in which order things happened; everything else it says is checked. A record names its request by
//! the digest of what was signed, so it is known exactly which request posted, and what that one may be told.

mod administration;
mod answers;
mod hops;
mod journal;
mod rows;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use ledger::books::Arrival;
use ledger_model::{
    Account, AccountLimits, AccountToken, Agreement, AgreementNumber, BusinessDate, ChinaTime, Currency, Instruction,
    LedgerAccount, Money, ShardCount, ShardId, Transfer, TransferKey, UsageSubject,
};

pub(crate) use self::answers::Circumstances;
pub(crate) use self::journal::digest_of;
use crate::reached::Reached;

/// What was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
    S2,
    /// What was decided, and what it came to, is what the rules of the business say.
    Decision,
    /// A hop goes where it may, is settled at a home that was fenced, and is closed with what that said.
    Hop,
    /// Money between shards is that of the hops that are open or unapplied.
    Sums,
    /// What was told as posted stays so.
    Stays,
    /// Rows are what the journal comes to.
    Rows,
    /// A repeat is told what was decided, and nothing else.
    Repeat,
    /// Other content under a known key posts nothing and is told which field differs.
    Conflict,
    /// What was denied never posts.
    Denied,
    /// What may yet post is never told as not found.
    InProcess,
    /// Every request is answered, and nothing stays in process for ever.
    Liveness,
    /// What was written opens again.
    Opens,
    /// The program refuses to go on, or panics, where nothing is wrong.
    Halt,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) what: String,
}

pub(crate) type Check = Result<(), Violation>;

pub(crate) fn must(holds: bool, rule: Rule, what: impl FnOnce() -> String) -> Check {
    if holds {
        Ok(())
    } else {
        Err(Violation { rule, what: what() })
    }
}

/// Where shards are, and what may be done while some cannot be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    pub(crate) shards: ShardCount,
    /// Shard groups; shards are dealt out to them in turn.
    pub(crate) groups: usize,
    /// Most that an agreement may be advanced in a day, in fen; none where nobody stands in.
    pub(crate) stand_in_daily_max: Option<i64>,
}

/// What may still come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Waiting,
    /// Told that it is in process; it may be there later.
    InProcess,
    /// It ended with its process, or was told something definite.
    Over,
}

/// A request to post.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) instruction: Instruction,
    digest: [u8; 32],
    pub(crate) standing: Standing,
    pub(crate) deadline_ms: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    debit: i64,
    credit: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    account: Account,
    opened_with: Money,
}

/// A transfer as its home has it.
#[derive(Debug, Clone)]
struct Decided {
    shard: ShardId,
    sequence: u64,
    transfer: Transfer,
    /// The request that posted it.
    order: usize,
    arrival: Arrival,
    refunded: i64,
    reversed: bool,
    /// Which process decided it, or one before it.
    life: u64,
}

/// One shard, as its journal says.
#[derive(Debug, Clone, Default)]
struct ShardBooks {
    sequence: u64,
    head: [u8; 32],
    posted: u64,
    refused: u64,
    totals: BTreeMap<Currency, Sums>,
    /// Of the ledger's own accounts.
    internal: BTreeMap<(LedgerAccount, Currency), Sums>,
    used: BTreeMap<(UsageSubject, BusinessDate), (u32, i64)>,
    closed_through: Option<BusinessDate>,
    /// Records when rows were last compared.
    compared: u64,
}

#[derive(Debug)]
pub(crate) struct Oracle {
    site: Site,
    /// When the run's clock stood at nothing, or a little later.
    began: ChinaTime,
    books: Vec<ShardBooks>,
    accounts: BTreeMap<AccountToken, Held>,
    limits: BTreeMap<AccountToken, AccountLimits>,
    agreements: BTreeMap<AgreementNumber, Agreement>,
    decided: BTreeMap<TransferKey, Decided>,
    /// Refusals of homes that a hop has taken the place of since, by shard and record.
    superseded: BTreeMap<(ShardId, u64), Decided>,
    /// By the shard that took them in.
    hops: BTreeMap<(TransferKey, ShardId), hops::Hopped>,
    /// In suspense and advanced by orders of the bank itself: credits less debits.
    besides: BTreeMap<(LedgerAccount, Currency), i64>,
    /// Requests of what was told as posted, and the process that told it.
    told_posted: Vec<(usize, u64)>,
    /// Processes that have ended.
    life: u64,
    pub(crate) reached: Reached,
    serials: BTreeSet<String>,
    pub(crate) orders: Vec<Order>,
    acts: Vec<administration::Asked>,
    /// Brought in, or to be.
    loads: Vec<(Vec<Account>, Vec<Agreement>)>,
}

impl Oracle {
    pub(crate) fn new(site: Site, began: ChinaTime) -> Self {
        Self {
            site,
            began,
            books: site.shards.all().map(|_| ShardBooks::default()).collect(),
            accounts: BTreeMap::new(),
            limits: BTreeMap::new(),
            agreements: BTreeMap::new(),
            decided: BTreeMap::new(),
            superseded: BTreeMap::new(),
            hops: BTreeMap::new(),
            besides: BTreeMap::new(),
            told_posted: Vec::new(),
            life: 0,
            reached: Reached::default(),
            serials: BTreeSet::new(),
            orders: Vec::new(),
            acts: Vec::new(),
            loads: Vec::new(),
        }
    }

    /// A client is about to send this; its number.
    pub(crate) fn sends(&mut self, instruction: Instruction, digest: [u8; 32], deadline_ms: u64) -> usize {
        self.orders.push(Order {
            instruction,
            digest,
            standing: Standing::Waiting,
            deadline_ms,
        });
        self.orders.len() - 1
    }

    pub(crate) fn loads(&mut self, accounts: Vec<Account>, agreements: Vec<Agreement>) {
        self.loads.push((accounts, agreements));
    }

    pub(crate) fn sequence(&self, shard: ShardId) -> u64 {
        self.books[shard.index()].sequence
    }

    /// The process is gone, and what its journal had was followed: nothing of it can post any more.
    pub(crate) fn process_ended(&mut self) {
        for order in &mut self.orders {
            order.standing = Standing::Over;
        }
        self.operators_gone();
        self.life += 1;
    }

    pub(crate) fn waiting(&self) -> usize {
        let waiting = self.orders.iter().filter(|order| order.standing == Standing::Waiting);
        waiting.count()
    }

    /// Accounts and agreements that were loaded and told as there, are there.
    pub(crate) fn was_loaded(&self, accounts: &[Account], agreements: &[Agreement]) -> Check {
        for account in accounts {
            must(self.accounts.contains_key(&account.token), Rule::S2, || {
                format!("an account told as loaded is not there: {account:?}")
            })?;
        }
        for agreement in agreements {
            let fits = self
                .accounts
                .get(&agreement.account)
                .is_some_and(|held| held.account.balance.currency() == agreement.terms.single_max.currency());
            must(
                !fits || self.agreements.contains_key(&agreement.number),
                Rule::S2,
                || format!("an agreement told as loaded is not there: {agreement:?}"),
            )?;
        }
        Ok(())
    }

    /// A number that two runs of one seed agree on.
    pub(crate) fn fingerprint(&self) -> u64 {
        let heads = self.books.iter().flat_map(|books| books.head);
        heads.fold(0xcbf2_9ce4_8422_2325, |all: u64, byte| {
            (all ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}
