//! The whole of a run: clients, the ledger's process, what it keeps its books on, and the oracle that watches.

use std::num::NonZeroU32;
use std::time::Duration;

use ledger::hopping::groups::{HoppingSettings, Ticks};
use ledger::hopping::map::{GroupMap, GroupName};
use ledger::hopping::selector::SelectorSettings;
use ledger::outcome::{Answer, Outcome};
use ledger::shard::ShardLimits;
use ledger_model::{
    Account, Agreement, Amount, BankSerial, Instruction, ShardCount, ShardId, TransferKey, TransferKind,
};
use ledger_protocol::{Administered, LoadReply, NothingPosted};
use tokio::sync::{mpsc, oneshot};

use crate::backing::{Backing, Kind};
use crate::bank::{Bank, cny};
use crate::broker::Topic;
use crate::chance::Chance;
use crate::oracle::{Check, Circumstances, Oracle, Rule, Site, Standing, Violation, must};
use crate::process::{Process, ProcessParts, RunClock};
use crate::shipment::Shipment;
use crate::trouble::{Rates, Trouble};

/// What a run is like, drawn from its seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) shards: ShardCount,
    /// Shard groups; shards are dealt out to them in turn.
    pub(crate) groups: usize,
    pub(crate) hopping: HoppingSettings,
    pub(crate) limits: ShardLimits,
    pub(crate) rates: Rates,
    pub(crate) steps: u64,
    /// Ledgers that ship each shard.
    pub(crate) ledgers_ship: usize,
}

/// Days for which keys are kept; none of a run's days is that long ago but those that are meant to be.
const KEPT_DAYS: u32 = 400;
/// One run in so many keeps its books in the embedded store.
const EMBEDDED_ONE_IN: u64 = 8;

impl Plan {
    pub(crate) fn drawn(chance: &mut Chance) -> Self {
        let kind = if chance.next().is_multiple_of(EMBEDDED_ONE_IN) {
            Kind::Embedded
        } else {
            let refuses_taken = chance.per_mille(250);
            Kind::Faulty { refuses_taken }
        };
        let rate = |chance: &mut Chance, rates: [u64; 3]| rates[chance.below(3)];
        let count = chance.between(1, 4);
        let groups = match (kind, count) {
            (Kind::Embedded, _) | (_, 1) => 1,
            (Kind::Faulty { .. }, _) => usize::try_from(chance.between(1, count.min(3))).unwrap(),
        };
        let longer = if groups == 1 { 1 } else { 2 };
        Self {
            kind,
            shards: ShardCount::new(u8::try_from(count).unwrap()).unwrap(),
            groups,
            hopping: hopping(chance),
            limits: ShardLimits {
                queue_max: [2, 6, 32][chance.below(3)],
                commit_batch_max: [1, 3, 16][chance.below(3)],
                kept_days: KEPT_DAYS,
                calm_groups: [0, 2, 8][chance.below(3)],
            },
            rates: Rates {
                begin_fails: rate(chance, [0, 20, 100]),
                read_fails: rate(chance, [0, 10, 50]),
                not_written: rate(chance, [0, 30, 100]),
                in_doubt: rate(chance, [0, 50, 200]),
                crash: rate(chance, [0, 20, 80]),
                others_get_a_turn: rate(chance, [0, 200, 600]),
            },
            steps: longer * chance.between(20, 110),
            ledgers_ship: [0, 0, 1, 2][chance.below(4)],
        }
    }

    /// Place in the ring of the group that a shard is in.
    pub(crate) fn group_of(&self, shard: ShardId) -> usize {
        shard.index() % self.groups
    }

    fn site(&self) -> Site {
        Site {
            shards: self.shards,
            groups: self.groups,
            stand_in_daily_max: self.hopping.stand_in_daily_max.map(Amount::minor),
        }
    }

    fn map(&self) -> GroupMap {
        let named = |place: usize| -> (GroupName, Vec<u8>) {
            let shards = self.shards.all().filter(|shard| self.group_of(*shard) == place);
            (
                format!("g{place}").parse().unwrap(),
                shards.map(ShardId::number).collect(),
            )
        };
        let groups: Vec<_> = (0..self.groups).map(named).collect();
        GroupMap::new(self.shards, &groups).unwrap()
    }
}

fn hopping(chance: &mut Chance) -> HoppingSettings {
    let few = |chance: &mut Chance| NonZeroU32::new(u32::try_from(chance.between(1, 3)).unwrap()).unwrap();
    HoppingSettings {
        selector: SelectorSettings {
            failures_max: few(chance),
            window: Duration::from_secs(2),
            probes_to_return: few(chance),
        },
        stand_in_daily_max: [None, Some(cny(1_000)), Some(cny(4_000))][chance.below(3)],
    }
}

/// A request that was not answered yet.
pub(crate) struct Pending {
    pub(crate) order: usize,
    pub(crate) answers: mpsc::Receiver<Answer>,
    pub(crate) faults_then: u64,
}

pub(crate) struct Loading {
    pub(crate) reply: oneshot::Receiver<Result<LoadReply, NothingPosted>>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) agreements: Vec<Agreement>,
}

/// An operator who was not told yet.
pub(crate) struct Administering {
    pub(crate) act: usize,
    pub(crate) reply: oneshot::Receiver<Result<Administered, NothingPosted>>,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) chance: Chance,
    pub(crate) clock: RunClock,
    pub(crate) trouble: Trouble,
    /// Before what it has open.
    pub(crate) process: Process,
    /// `None` where nothing is shipped.
    pub(crate) shipment: Option<Shipment>,
    /// The clock by which groups and carriers go.
    pub(crate) ticks: Ticks,
    pub(crate) backing: Backing,
    pub(crate) bank: Bank,
    pub(crate) oracle: Oracle,
    pub(crate) sent: Vec<Instruction>,
    pub(crate) serials: Vec<(TransferKey, BankSerial)>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) loading: Vec<Loading>,
    pub(crate) administering: Vec<Administering>,
    /// Steps told, when somebody wants to read them.
    pub(crate) lines: Option<Vec<String>>,
    pub(crate) depth: usize,
    pub(crate) violation: Option<Violation>,
}

pub(crate) fn open(plan: &Plan, backing: &Backing, trouble: &Trouble, clock: &RunClock) -> Result<Process, Violation> {
    let mut stores = Vec::new();
    for shard in plan.shards.all() {
        let store = trouble.quietly(|| backing.open(plan.shards, shard, trouble));
        stores.push(store.map_err(|fault| Violation {
            rule: Rule::Opens,
            what: format!("the store of shard {shard} does not open: {fault:?}"),
        })?);
    }
    Ok(Process::start(ProcessParts {
        stores,
        shards: plan.shards,
        limits: plan.limits,
        clock,
        waited_ms: trouble.waited_ms(),
        hopping: (plan.groups > 1).then(|| (plan.map(), plan.hopping)),
    }))
}

impl World {
    pub(crate) fn new(seed: u64, tell: bool) -> Result<Self, Violation> {
        let mut chance = Chance::new(seed);
        let plan = Plan::drawn(&mut chance);
        let clock = RunClock::starting("2026-03-02T23:57:00".parse().unwrap());
        let trouble = Trouble::new(chance.fork(), plan.rates);
        let backing = Backing::new(plan.kind, plan.shards, plan.groups, &trouble);
        let process = open(&plan, &backing, &trouble, &clock)?;
        let bank = Bank::drawn(&mut chance, plan.shards, clock.now());
        let shipment = (plan.ledgers_ship > 0).then(|| {
            let mut shipment = Shipment {
                topic: Topic::new(plan.shards, chance.fork()),
                carriers: Vec::new(),
                ledgers: plan.ledgers_ship,
                checked: plan.shards.all().map(|_| (0, 0)).collect(),
            };
            shipment.begin(&process, &clock);
            shipment
        });
        Ok(Self {
            shipment,
            ticks: clock.ticks(trouble.waited_ms()),
            plan,
            chance,
            trouble,
            process,
            backing,
            bank,
            oracle: Oracle::new(plan.site(), clock.now()),
            clock,
            sent: Vec::new(),
            serials: Vec::new(),
            pending: Vec::new(),
            loading: Vec::new(),
            administering: Vec::new(),
            lines: tell.then(Vec::new),
            depth: 0,
            violation: None,
        })
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.lines.is_some() {
            let line = format!(
                "{}{:>7} ms  {}",
                "    ".repeat(self.depth),
                self.clock.now_ms,
                line(self)
            );
            self.lines.get_or_insert_default().push(line);
        }
    }

    fn circumstances(&self, faults_then: u64) -> Circumstances {
        let kept_seconds = i64::from(KEPT_DAYS) * 24 * 3600;
        Circumstances {
            now_ms: self.clock.now_ms,
            first_day: self.clock.now().plus_seconds(-kept_seconds).unwrap().date(),
            store_failed: self.trouble.count() > faults_then,
            // errands take room too
            may_be_busy: self.queued() > self.plan.limits.queue_max || self.process.is_bringing_home(),
            all_to_be_asked: self.is_settled(),
        }
    }

    /// Whether every group answers, is used, and owes nothing.
    pub(crate) fn is_settled(&self) -> bool {
        self.plan.groups == 1 || (!self.trouble.any_down() && self.process.is_settled())
    }

    /// All that is new since the last look: records, answers, rows. Everything is checked.
    pub(crate) fn observe(&mut self) -> Check {
        if !self.is_settled() {
            self.trouble.goes_on();
        }
        self.follow()?;
        self.take_answers()?;
        self.take_loads()?;
        self.take_administered()?;
        self.compare()
    }

    fn follow(&mut self) -> Check {
        for shard in self.plan.shards.all() {
            let reader = self.process.ledger.feed(shard).reader;
            let from = self.oracle.sequence(shard) + 1;
            let records = self.trouble.quietly(|| reader.journal(from, usize::MAX));
            let records = records.map_err(|fault| Violation {
                rule: Rule::L5,
                what: format!("the journal of shard {shard} does not read: {fault}"),
            })?;
            self.oracle.follow(shard, self.backing.epoch(shard), &records)?;
            for sequence in from..=self.oracle.sequence(shard) {
                let sealed = self.trouble.quietly(|| reader.evidence(sequence));
                let sealed = sealed.map_err(|fault| Violation {
                    rule: Rule::Rows,
                    what: format!("evidence does not read: {fault}"),
                })?;
                self.oracle.evidence_is(shard, sequence, sealed.as_deref())?;
            }
            self.is_durable(shard)?;
        }
        self.follow_partitions()?;
        self.oracle.sums_are_what_is_open()
    }

    /// Invariant S2, and the half of L6 that says that nothing is offered for shipping early.
    fn is_durable(&self, shard: ShardId) -> Check {
        let readable = self.oracle.sequence(shard);
        let durable = self.backing.durable(shard).unwrap_or(readable);
        must(readable <= durable, Rule::S2, || {
            format!("record {readable} of shard {shard} is read; durable is {durable}")
        })?;
        let offered = self.process.ledger.shard(shard).state().sequence;
        must(offered <= durable, Rule::L6, || {
            format!("record {offered} of shard {shard} is offered for shipping; durable is {durable}")
        })
    }

    fn take_answers(&mut self) -> Check {
        let may_be_busy = self.circumstances(0).may_be_busy;
        let mut place = 0;
        while place < self.pending.len() {
            let Ok(answer) = self.pending[place].answers.try_recv() else {
                place += 1;
                continue;
            };
            let pending = self.pending.remove(place);
            let (order, outcome) = (pending.order, answer.outcome);
            self.tell(|_| format!("request {order} is told {}", short(&outcome)));
            let at = Circumstances {
                may_be_busy,
                ..self.circumstances(pending.faults_then)
            };
            self.oracle.told(order, &outcome, at)?;
            if let Outcome::Decided { transfer, .. } = outcome
                && transfer.kind == TransferKind::Payment
            {
                self.serials.push((transfer.key, transfer.serial));
            }
        }
        Ok(())
    }

    fn take_loads(&mut self) -> Check {
        let (trouble, oracle) = (&self.trouble, &self.oracle);
        let mut told: Check = Ok(());
        self.loading.retain_mut(|loading| match loading.reply.try_recv() {
            Ok(Ok(_)) => {
                told = std::mem::replace(&mut told, Ok(()))
                    .and_then(|()| oracle.was_loaded(&loading.accounts, &loading.agreements));
                false
            }
            Ok(Err(reason)) => {
                let of_a_store = matches!(reason, NothingPosted::Store | NothingPosted::HomeDown);
                let failed = trouble.count() > 0 && of_a_store;
                told = std::mem::replace(&mut told, Ok(()))
                    .and_then(|()| must(failed, Rule::Liveness, || format!("a load is refused: {reason:?}")));
                false
            }
            Err(oneshot::error::TryRecvError::Empty) => true,
            Err(oneshot::error::TryRecvError::Closed) => false,
        });
        told
    }

    fn take_administered(&mut self) -> Check {
        let oracle = &mut self.oracle;
        let mut told: Check = Ok(());
        self.administering.retain_mut(|asked| match asked.reply.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => true,
            answer => {
                let answer = answer.ok().and_then(Result::ok);
                told = std::mem::replace(&mut told, Ok(()))
                    .and_then(|()| oracle.operator_told(asked.act, answer.as_ref()));
                false
            }
        });
        told
    }

    /// Work that may be in queues, at the most.
    pub(crate) fn queued(&self) -> usize {
        self.oracle.waiting() + self.loading.len() + self.administering.len()
    }

    /// Rows of the shards that are not in the middle of something.
    fn compare(&mut self) -> Check {
        for (shard, run) in self.plan.shards.all().zip(&self.process.runs) {
            if let Some(run) = run {
                let oracle = &mut self.oracle;
                self.trouble.quietly(|| oracle.compare(shard, run.store()))?;
            }
        }
        Ok(())
    }

    /// The process is gone; the next one opens what is left.
    pub(crate) fn reopen(&mut self) -> Check {
        self.tell(|_| "the process is gone; a new one opens what is left".to_owned());
        self.process.runs.clear();
        self.pending.clear();
        self.loading.clear();
        self.administering.clear();
        self.backing.crash(&self.trouble);
        self.trouble.set_crashed(false);
        if let Some(shipment) = &mut self.shipment {
            shipment.carriers.clear();
        }
        self.process = open(&self.plan, &self.backing, &self.trouble, &self.clock)?;
        if let Some(shipment) = &mut self.shipment {
            shipment.begin(&self.process, &self.clock);
        }
        self.follow()?;
        self.oracle.process_ended();
        self.oracle.compare_anew();
        self.compare()
    }

    /// Asks about a key.
    pub(crate) fn query(&mut self, key: &TransferKey) -> Result<Outcome, Violation> {
        // whoever was answered before it was asked is not under way
        self.follow()?;
        self.take_answers()?;
        let faults_then = self.trouble.count();
        if !self.is_settled() {
            self.trouble.goes_on();
        }
        let outcome = self.process.ledger.query(key);
        self.tell(|_| format!("query of {}: {}", key.id, short(&outcome)));
        let may_appear = self.backing.may_appear(key);
        let at = self.circumstances(faults_then);
        self.oracle.queried(key, &outcome, may_appear, at)?;
        Ok(outcome)
    }

    /// Nothing waits, nothing goes wrong any more: every answer is definite, and what is there stays there.
    pub(crate) fn ends_well(&mut self) -> Check {
        let unanswered: Vec<usize> = self.pending.iter().map(|pending| pending.order).collect();
        must(unanswered.is_empty() && self.loading.is_empty(), Rule::Liveness, || {
            format!("requests {unanswered:?} are never answered")
        })?;
        self.oracle.all_are_home()?;
        self.all_is_shipped()?;
        let keys: Vec<TransferKey> = self.sent.iter().map(|order| *order.key()).collect();
        for key in keys {
            let outcome = self.query(&key)?;
            must(
                matches!(outcome, Outcome::Decided { .. } | Outcome::NotFound),
                Rule::Liveness,
                || format!("{} stays without a definite answer: {outcome:?}", key.id),
            )?;
        }
        let over = self
            .oracle
            .orders
            .iter()
            .all(|order| order.standing != Standing::Waiting);
        must(over, Rule::Liveness, || "an order waits for ever".to_owned())
    }
}

pub(crate) fn short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Decided { transfer, repeat } => {
            let again = if *repeat { ", again" } else { "" };
            format!("{:?} under {}{again}", transfer.decision, transfer.serial)
        }
        other => format!("{other:?}"),
    }
}
