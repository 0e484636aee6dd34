//! Hops: what a shard took in for a home that could not be reached, what came of it at home, and that over all shards the
//! money in between is exactly that of the hops that are open or unapplied.

use std::collections::BTreeMap;

use ledger::books::Arrival;
use ledger_journal::EvidenceDigest;
use ledger_model::{
    BusinessDate, Currency, Decision, Entry, Hop, HopState, Instruction, LedgerAccount, Payee, ShardId, Side, Transfer,
    TransferKey, UsageSubject,
};

use super::rules::Due;
use super::{Check, Decided, Oracle, Rule, must};
use crate::bank::home;

/// A transfer as a shard has it that took it in for its home.
#[derive(Debug, Clone)]
pub(super) struct Hopped {
    pub(super) sequence: u64,
    pub(super) transfer: Transfer,
    /// The request that it was taken in for.
    pub(super) order: usize,
    pub(super) hop: Hop,
    pub(super) state: HopState,
    /// Which process took it in.
    pub(super) life: u64,
    /// Requests that had been sent when it was first told as posted.
    pub(super) told_before: Option<usize>,
}

impl Hopped {
    /// It is the one hop of its key whose money was put where it belongs, or waits for an operator.
    const fn counts(&self) -> bool {
        match self.state {
            HopState::Settled | HopState::Unapplied(_) => true,
            HopState::Open | HopState::Compensated => false,
        }
    }
}

impl Oracle {
    /// Whether nothing of another home or kind was sent under the order's key. A key used for both is not recognised while
    /// the group of the first is down; that is said of hopping, and not looked for here. The home of a reversal is that of
    /// its original, which may become known in between.
    pub(crate) fn has_one_home(&self, order: &Instruction) -> bool {
        let same_key = self
            .orders
            .iter()
            .map(|order| &order.instruction)
            .filter(|other| other.key() == order.key());
        let homes_alike =
            |other: &Instruction| other.kind() == order.kind() && self.home_named(other) == self.home_named(order);
        let is_reversal = |order: &Instruction| matches!(order, Instruction::Reversal(_));
        let mut same_key = same_key.peekable();
        same_key.peek().is_none()
            || !is_reversal(order) && same_key.all(|other| !is_reversal(other) && homes_alike(other))
    }

    /// Home of what an order names: the account's, or the one the agreement's number carries.
    fn home_named(&self, order: &Instruction) -> Option<ShardId> {
        if let Some(token) = account_named(order) {
            return Some(home(self.site.shards, token));
        }
        let tag = super::answers::agreement(order)?.shard_tag()?;
        self.site.shards.shard(tag)
    }

    fn group_of(&self, shard: ShardId) -> usize {
        shard.index() % self.site.groups
    }

    /// The shard of a group that takes in what hops from `home`.
    fn taker(&self, home: ShardId, group: usize) -> Option<ShardId> {
        let shards = self.site.shards.all().filter(|shard| self.group_of(*shard) == group);
        let shards: Vec<ShardId> = shards.collect();
        shards.get(home.index() % shards.len().max(1)).copied()
    }

    /// A shard took a transfer in for its home.
    pub(super) fn taken_in(
        &mut self,
        shard: ShardId,
        transfer: Transfer,
        entries: &[Entry],
        evidence: EvidenceDigest,
        hop: Hop,
    ) -> Check {
        let key = transfer.key;
        must(!self.hops.contains_key(&(key, shard)), Rule::L4, || {
            format!("{} is taken in a second time by shard {shard}", key.id)
        })?;
        let place = self.asked(&transfer, evidence)?;
        let order = self.orders[place].instruction.clone();
        let home = self.home_named(&order);
        let fits = home.is_none_or(|home| home == hop.home)
            && self.group_of(hop.home) != self.group_of(shard)
            && self.taker(hop.home, self.group_of(shard)) == Some(shard);
        must(fits, Rule::Hop, || {
            format!("request {place} hops from {home:?} to shard {shard}: {hop:?}")
        })?;
        let closed = self.is_closed(shard, &order);
        must(!closed, Rule::Decision, || {
            format!("request {place} is of a closed day")
        })?;
        let due = entries_taken_in(&order);
        must(
            transfer.decision == Decision::Posted && due.as_deref() == Some(entries),
            Rule::L1,
            || format!("request {place} is taken in with {entries:?}, not {due:?}"),
        )?;
        must(transfer.account == account_named(&order), Rule::Decision, || {
            format!("request {place} is taken in for {:?}", transfer.account)
        })?;
        super::journal::is_as_asked(place, &order, &transfer)?;
        self.is_serial_new(shard, &transfer)?;
        let at_home = self.decided.get(&key).filter(|decided| decided.order == place);
        must(
            at_home.is_none() || may_be_in_two_places(&order, hop),
            Rule::Hop,
            || format!("request {place} may have posted at home and is taken in as well: {hop:?}"),
        )?;
        if let Instruction::Payment(payment) = &order {
            self.stands_in(shard, payment, hop)?;
            self.reached.stand_ins += 1;
        }
        self.reached.hops += 1;
        self.reached.second_attempts += u64::from(hop.attempt > 1);
        self.books[shard.index()].posted += 1;
        let hopped = Hopped {
            sequence: self.sequence(shard),
            transfer,
            order: place,
            hop,
            state: HopState::Open,
            life: self.life,
            told_before: None,
        };
        self.hops.insert((key, shard), hopped);
        self.post(shard, entries)
    }

    /// What is advanced under an agreement in a day is within the limit, and is counted in one place.
    fn stands_in(&mut self, shard: ShardId, payment: &ledger_model::Payment, hop: Hop) -> Check {
        let next = (self.group_of(hop.home) + 1) % self.site.groups;
        must(self.group_of(shard) == next && hop.attempt == 1, Rule::Hop, || {
            format!("shard {shard} stands in where group {next} has to: {hop:?}")
        })?;
        let day = (UsageSubject::StandIn(payment.agreement), payment.ordered_at.date());
        let used = self.books[shard.index()].used.entry(day).or_default();
        used.0 += 1;
        used.1 += payment.amount.minor();
        let all = self.books.iter().filter_map(|books| books.used.get(&day));
        let all: i64 = all.map(|(_, minor)| minor).sum();
        let most = self.site.stand_in_daily_max;
        let within = most.is_some_and(|most| all <= most) && payment.amount.currency() == Currency::CNY;
        must(within, Rule::L3, || {
            format!("{all} is advanced under {}, of {most:?}", payment.agreement)
        })
    }

    /// A hop is settled at home, whose store is under `epoch`.
    pub(super) fn settled(
        &mut self,
        shard: ShardId,
        epoch: u64,
        transfer: Transfer,
        decision: Decision,
        entries: &[Entry],
    ) -> Check {
        let key = transfer.key;
        let Some(hopped) = self.hop_of(&transfer).cloned() else {
            return must(false, Rule::Hop, || format!("nothing like it hopped: {transfer:?}"));
        };
        must(hopped.hop.home == shard, Rule::Hop, || {
            format!("shard {shard} settles what is not its own: {hopped:?}")
        })?;
        must(epoch > hopped.hop.epoch, Rule::Hop, || {
            format!("shard {shard} is under epoch {epoch} and was not fenced: {hopped:?}")
        })?;
        let order = self.orders[hopped.order].instruction.clone();
        let before = self.decided.get(&key);
        let due = match before.map(|before| (before.arrival, before.transfer.decision)) {
            None => self.due_of_hop(shard, &order),
            // what it has refused stays refused, and it remembers for which of the hops
            Some((Arrival::Direct, Decision::Refused(refusal))) => Due::refused(refusal, None),
            Some(_) => {
                return must(false, Rule::L4, || {
                    format!("shard {shard} settles {}, and has decided it: {before:?}", key.id)
                });
            }
        };
        let account = due.account.or(hopped.transfer.account);
        let found = (decision, transfer.account, entries);
        must(
            found == (due.decision, account, due.entries.as_slice()),
            Rule::Decision,
            || format!("{} is settled with {found:?} where this was due: {due:?}", key.id),
        )?;
        let as_told = Transfer {
            account: transfer.account,
            ..hopped.transfer.clone()
        };
        must(as_told == transfer, Rule::Hop, || {
            format!("{hopped:?} is settled as {transfer:?}")
        })?;
        if decision == Decision::Posted {
            self.use_up(shard, &order);
        }
        let sequence = self.sequence(shard);
        let decided = Decided {
            shard,
            sequence,
            transfer,
            order: hopped.order,
            arrival: Arrival::Settled(decision),
            refunded: 0,
            reversed: false,
            life: self.life,
        };
        if let Some(before) = self.decided.insert(key, decided) {
            self.superseded.insert((before.shard, before.sequence), before);
        }
        self.post(shard, entries)
    }

    /// A hop is closed where it was taken in.
    pub(super) fn closed(&mut self, shard: ShardId, transfer: &Transfer, state: HopState, entries: &[Entry]) -> Check {
        let key = transfer.key;
        let hopped = self.hops.get(&(key, shard));
        let Some(hopped) = hopped.filter(|hopped| hopped.state == HopState::Open && hopped.transfer == *transfer)
        else {
            return must(false, Rule::Hop, || {
                format!("nothing like it is open in shard {shard}: {transfer:?}")
            });
        };
        let at_home = self.decided.get(&key);
        let due = at_home.and_then(|at_home| closed_with(at_home, hopped));
        must(due == Some(state), Rule::Hop, || {
            format!("{} is closed as {state:?}, not {due:?}; at home is {at_home:?}", key.id)
        })?;
        let other = self.hops_of(key).find(|other| other.counts());
        must(state == HopState::Compensated || other.is_none(), Rule::Hop, || {
            format!(
                "{} is closed as {state:?}, and another hop of it counts: {other:?}",
                key.id
            )
        })?;
        let due = match state {
            HopState::Compensated => {
                entries_taken_in(&self.orders[hopped.order].instruction).map(|entries| other_way_round(&entries))
            }
            HopState::Open | HopState::Settled | HopState::Unapplied(_) => Some(Vec::new()),
        };
        must(due.as_deref() == Some(entries), Rule::L1, || {
            format!("{} is closed as {state:?} with {entries:?}, not {due:?}", key.id)
        })?;
        let reached = match state {
            HopState::Compensated => &mut self.reached.compensations,
            HopState::Unapplied(_) if self.superseded_of(key).next().is_some() => {
                self.reached.unapplied += 1;
                &mut self.reached.refused_before
            }
            HopState::Unapplied(_) => &mut self.reached.unapplied,
            HopState::Open | HopState::Settled => &mut self.reached.settlements,
        };
        *reached += 1;
        if let Some(hopped) = self.hops.get_mut(&(key, shard)) {
            hopped.state = state;
        }
        self.post(shard, entries)
    }

    /// Over all shards, suspense and the advance come to what hops hold that are open or unapplied.
    pub(crate) fn sums_are_what_is_open(&self) -> Check {
        let mut due: BTreeMap<(LedgerAccount, Currency), i64> = self.besides.clone();
        for hopped in self.hops.values().filter(|hopped| self.holds_money(hopped)) {
            let amount = hopped.transfer.amount;
            let (account, minor) = match self.orders[hopped.order].instruction {
                Instruction::Payment(_) => (LedgerAccount::StandInAdvance, -amount.minor()),
                _ => (LedgerAccount::Suspense, amount.minor()),
            };
            *due.entry((account, amount.currency())).or_default() += minor;
        }
        let mut found: BTreeMap<(LedgerAccount, Currency), i64> = BTreeMap::new();
        for ((account, currency), sums) in self.books.iter().flat_map(|books| &books.internal) {
            if matches!(account, LedgerAccount::Suspense | LedgerAccount::StandInAdvance) {
                *found.entry((*account, *currency)).or_default() += sums.credit - sums.debit;
            }
        }
        found.retain(|_, minor| *minor != 0);
        due.retain(|_, minor| *minor != 0);
        must(found == due, Rule::Sums, || {
            format!("over all shards there is {found:?}; open and unapplied is {due:?}")
        })
    }

    fn holds_money(&self, hopped: &Hopped) -> bool {
        match hopped.state {
            HopState::Unapplied(_) => true,
            HopState::Settled | HopState::Compensated => false,
            HopState::Open => {
                let at_home = self.decided.get(&hopped.transfer.key);
                at_home.is_none_or(|at_home| closed_with(at_home, hopped) != Some(HopState::Settled))
            }
        }
    }

    /// No hop is open.
    pub(crate) fn all_are_home(&self) -> Check {
        let open = self.hops.values().find(|hopped| hopped.state == HopState::Open);
        must(open.is_none(), Rule::Liveness, || format!("a hop stays open: {open:?}"))
    }

    pub(super) fn hops_of(&self, key: TransferKey) -> impl Iterator<Item = &Hopped> {
        let all = self.hops.iter().filter(move |((of, _), _)| *of == key);
        all.map(|(_, hopped)| hopped)
    }

    /// What its home had refused before a hop of it came home.
    pub(super) fn superseded_of(&self, key: TransferKey) -> impl Iterator<Item = &Decided> {
        let all = self.superseded.values();
        all.filter(move |decided| decided.transfer.key == key)
    }

    fn hop_of(&self, transfer: &Transfer) -> Option<&Hopped> {
        self.hops_of(transfer.key)
            .find(|hopped| hopped.transfer.serial == transfer.serial)
    }

    /// A client was told that an order is posted. It is from then on.
    pub(super) fn told_as_posted(&mut self, transfer: &Transfer) {
        if let Some(order) = self.request_of(transfer) {
            self.told_posted.push((order, self.life));
        }
        let sent = self.orders.len();
        let mut all = self.hops.values_mut();
        let told = all.find(|hopped| hopped.transfer.serial == transfer.serial && hopped.transfer.key == transfer.key);
        if let Some(hopped) = told {
            hopped.told_before.get_or_insert(sent);
        }
    }

    /// What this process told as posted is never told as refused. A process that began later may not know of it while the
    /// shard that took it in cannot be asked.
    pub(super) fn stays_posted(&self, refused: &Transfer) -> Check {
        let at_home = self.decided.get(&refused.key);
        let unknown = |hopped: &Hopped| {
            let later = at_home.is_some_and(|at_home| at_home.life > hopped.life);
            match hopped.state {
                HopState::Open => later || self.life > hopped.life,
                HopState::Settled | HopState::Compensated | HopState::Unapplied(_) => false,
            }
        };
        let request = self.request_of(refused);
        let is_same = |posted: usize| {
            let [one, other] =
                [Some(posted), request].map(|place| place.map(|place| *self.orders[place].instruction.key()));
            one == other && request.is_some_and(|request| self.difference(posted, request).is_none())
        };
        let mut told = self.told_posted.iter();
        let told = told.any(|(posted, life)| *life == self.life && is_same(*posted));
        must(!told || self.hops_of(refused.key).any(unknown), Rule::Stays, || {
            format!("told as posted before, and now as {refused:?}; at home is {at_home:?}")
        })
    }

    /// A request that was told as posted anew, at home, is not one that this process has told as posted elsewhere before.
    pub(super) fn is_not_decided_anew(&self, place: usize, key: &TransferKey) -> Check {
        let at_home = self.decided.get(key).filter(|decided| decided.order == place);
        let mut hops = self.hops_of(*key);
        let known = hops.find(|hopped| {
            hopped.life == self.life && hopped.told_before.is_some_and(|sent| sent <= place) && hopped.order != place
        });
        must(at_home.is_none() || known.is_none(), Rule::L4, || {
            format!("request {place} is decided anew: {known:?}")
        })
    }

    /// Where everybody can be asked, what was taken back is not told any more, nor what a hop has taken the place of.
    pub(super) fn is_not_taken_back(&self, transfer: &Transfer) -> Check {
        let hopped = self.hop_of(transfer);
        let taken_back = hopped.is_some_and(|hopped| hopped.state == HopState::Compensated)
            || self
                .superseded_of(transfer.key)
                .any(|before| before.transfer == *transfer);
        must(!taken_back, Rule::Repeat, || {
            format!("{transfer:?} is told, and was taken back")
        })
    }

    pub(super) fn is_closed(&self, shard: ShardId, order: &Instruction) -> bool {
        let closed: Option<BusinessDate> = self.books[shard.index()].closed_through;
        closed.is_some_and(|closed| order.batch().date() <= closed)
    }
}

/// What is tried elsewhere while the first attempt is in doubt.
pub(super) fn may_be_in_two_places(order: &Instruction, hop: Hop) -> bool {
    matches!(order, Instruction::Payout(_)) && hop.attempt == 2
}

/// What a hop has to be closed with, after what its home says; `None` where it has not said it yet.
fn closed_with(at_home: &Decided, hopped: &Hopped) -> Option<HopState> {
    let same = at_home.transfer.serial == hopped.transfer.serial;
    match at_home.arrival {
        Arrival::Settled(Decision::Posted) if same => Some(HopState::Settled),
        Arrival::Settled(Decision::Refused(refusal)) if same => Some(HopState::Unapplied(refusal)),
        Arrival::Settled(_) | Arrival::Hopped => Some(HopState::Compensated),
        Arrival::Direct => match at_home.transfer.decision {
            // nobody has the money yet, and another hop of it may come home first
            Decision::Refused(_) => None,
            Decision::Posted => Some(HopState::Compensated),
        },
    }
}

fn entries_taken_in(order: &Instruction) -> Option<Vec<Entry>> {
    let clearing = LedgerAccount::NetworkClearing(order.batch());
    let (debit, credit) = match order {
        Instruction::Payout(_) => (clearing, LedgerAccount::Suspense),
        Instruction::Payment(_) => (LedgerAccount::StandInAdvance, clearing),
        Instruction::Refund(_) | Instruction::Reversal(_) | Instruction::Supplement(_) => return None,
    };
    let amount = order.amount();
    let sides = [(debit, Side::Debit), (credit, Side::Credit)];
    Some(sides.map(|(account, side)| Entry { account, side, amount }).to_vec())
}

fn other_way_round(entries: &[Entry]) -> Vec<Entry> {
    let [debit, credit] = [&entries[1], &entries[0]].map(|entry| entry.account);
    let amount = entries[0].amount;
    let sides = [(debit, Side::Debit), (credit, Side::Credit)];
    sides.map(|(account, side)| Entry { account, side, amount }).to_vec()
}

/// The account an order names by its token.
pub(super) fn account_named(order: &Instruction) -> Option<ledger_model::AccountToken> {
    match order {
        Instruction::Payout(payout) => match payout.payee {
            Payee::Account { token, .. } => Some(token),
            Payee::Agreement(_) => None,
        },
        Instruction::Supplement(supplement) => Some(supplement.account),
        Instruction::Payment(_) | Instruction::Refund(_) | Instruction::Reversal(_) => None,
    }
}
