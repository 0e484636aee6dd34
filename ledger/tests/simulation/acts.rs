//! What happens in a run, one act at a time; in the middle of a commit others act too.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use ledger::outcome::ReplyTo;
use ledger::shard::{Administer, FatalFault, Load};
use ledger_model::{Instruction, ShardId};
use tokio::sync::{mpsc, oneshot};

use crate::bank::{evidence, home};
use crate::clients::Client;
use crate::oracle::{Check, Rule, Violation, digest_of};
use crate::trouble::Rates;
use crate::world::{Administering, Loading, Pending, World};

/// Acts within a commit, and within a commit within that.
const DEPTH_MAX: usize = 2;
/// Steps in which everything must come to rest once nothing goes wrong any more.
const ROUNDS_TO_REST_MAX: usize = 64;

/// Of those, with nothing to work: what is in doubt is settled in them.
const IDLE_ROUNDS: usize = 2;

#[derive(Debug, Clone, Copy)]
enum Act {
    Order,
    Again,
    Query,
    Step,
    Pump,
    Pass,
    LateGetsThere,
    Load,
    Administer,
    Crash,
    Stop,
    GroupFalls,
    GroupReturns,
    Probe,
    BringHome,
    Ship,
    BrokerGoes,
    BrokerComes,
    LatePieceGetsThere,
    TopicIsCut,
}

/// Which runs an act is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    All,
    /// With several shard groups.
    Groups,
    Shipping,
}

/// How often.
const ACTS: [(Act, u64, Of); 21] = [
    (Act::Order, 26, Of::All),
    (Act::Again, 18, Of::All),
    (Act::Query, 10, Of::All),
    (Act::Step, 32, Of::All),
    (Act::Step, 12, Of::Groups),
    (Act::Pump, 6, Of::All),
    (Act::Pass, 8, Of::All),
    (Act::LateGetsThere, 3, Of::All),
    (Act::Load, 1, Of::All),
    (Act::Administer, 4, Of::All),
    (Act::Crash, 1, Of::All),
    (Act::Stop, 1, Of::All),
    (Act::GroupFalls, 4, Of::Groups),
    (Act::GroupReturns, 5, Of::Groups),
    (Act::Probe, 8, Of::Groups),
    (Act::BringHome, 14, Of::Groups),
    (Act::Ship, 30, Of::Shipping),
    (Act::BrokerGoes, 1, Of::Shipping),
    (Act::BrokerComes, 2, Of::Shipping),
    (Act::LatePieceGetsThere, 3, Of::Shipping),
    (Act::TopicIsCut, 1, Of::Shipping),
];

pub(crate) struct Simulation(pub(crate) RefCell<World>);

impl Simulation {
    /// One act, whatever it is, and a look at everything afterwards.
    pub(crate) fn act(self: &Rc<Self>) -> Check {
        let (act, is_within) = {
            let mut world = self.0.borrow_mut();
            let plan = world.plan;
            let weights = ACTS.map(|(_, weight, of)| match of {
                Of::Groups if plan.groups == 1 => 0,
                Of::Shipping if plan.ledgers_ship == 0 => 0,
                Of::All | Of::Groups | Of::Shipping => weight,
            });
            let place = world.chance.weighted(&weights);
            (ACTS[place].0, world.depth > 0)
        };
        match act {
            Act::Order => self.0.borrow_mut().order(),
            Act::Again => self.0.borrow_mut().again(),
            Act::Query => self.0.borrow_mut().ask()?,
            Act::Step => {
                let shard = self.0.borrow_mut().any_shard();
                self.step(shard)?;
            }
            Act::Pump => self.0.borrow_mut().process.pump(),
            // a step takes no time: what it works it takes to be in time or not once and for all
            Act::Pass | Act::Stop if is_within => {}
            Act::Pass => self.0.borrow_mut().pass(),
            Act::LateGetsThere => self.0.borrow_mut().late_gets_there(),
            Act::Load => {
                let _where_there_was_room = self.0.borrow_mut().load_again();
            }
            Act::Administer => self.0.borrow_mut().administer(),
            Act::Crash => {
                let mut world = self.0.borrow_mut();
                world.tell(|_| "crash".to_owned());
                world.trouble.set_crashed(true);
            }
            Act::Stop => self.stop()?,
            Act::GroupFalls => self.0.borrow_mut().group_falls(),
            Act::GroupReturns => self.0.borrow_mut().group_returns(),
            Act::Probe => {
                let mut world = self.0.borrow_mut();
                let place = world.any_group();
                world.probe(place);
            }
            Act::BringHome => self.0.borrow_mut().bring_home(),
            Act::Ship => self.0.borrow_mut().ship(),
            Act::BrokerGoes => self.0.borrow_mut().broker_goes_or_comes(true),
            Act::BrokerComes => self.0.borrow_mut().broker_goes_or_comes(false),
            Act::LatePieceGetsThere | Act::TopicIsCut => {
                let mut world = self.0.borrow_mut();
                let shard = world.any_shard();
                match act {
                    Act::TopicIsCut => world.cut_topic(shard),
                    _ => world.late_piece_gets_there(shard),
                }
            }
        }
        self.look()
    }

    fn look(self: &Rc<Self>) -> Check {
        let mut world = self.0.borrow_mut();
        if let Some(violation) = world.violation.take() {
            return Err(violation);
        }
        if !world.trouble.is_crashed() {
            return world.observe();
        }
        // within a commit of the process that is gone, the new one waits until that has ended too
        if world.depth == 0 { world.reopen() } else { Ok(()) }
    }

    /// Others act in the middle of a commit.
    pub(crate) fn others(self: &Rc<Self>) {
        let count = {
            let mut world = self.0.borrow_mut();
            if world.depth == DEPTH_MAX {
                return;
            }
            world.depth += 1;
            world.chance.between(1, 3)
        };
        for _ in 0..count {
            if self.0.borrow().trouble.is_crashed() {
                break;
            }
            if let Err(violation) = self.act() {
                self.0.borrow_mut().violation = Some(violation);
                break;
            }
        }
        self.0.borrow_mut().depth -= 1;
    }

    /// One shard works a group, unless it is in the middle of one.
    fn step(self: &Rc<Self>, shard: ShardId) -> Check {
        let (run, now) = {
            let mut world = self.0.borrow_mut();
            let run = world.process.runs[shard.index()].take();
            if run.is_some() {
                world.tell(|_| format!("shard {shard} works"));
            }
            (run, world.clock.instant(world.clock.now_ms))
        };
        let Some(mut run) = run else {
            return Ok(());
        };
        let stepped = run.step(now);
        let mut world = self.0.borrow_mut();
        world.process.runs[shard.index()] = Some(run);
        match stepped {
            Err(fault) if !world.trouble.is_crashed() => Err(halted(&fault)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The process ends as it is asked to.
    fn stop(self: &Rc<Self>) -> Check {
        let shards = {
            let world = self.0.borrow();
            // what is asked to stop must find room in every queue
            if world.queued() >= world.plan.limits.queue_max || world.process.is_bringing_home() {
                return Ok(());
            }
            world
                .plan
                .shards
                .all()
                .for_each(|shard| world.process.ledger.shard(shard).stop());
            world.plan.shards
        };
        self.0.borrow_mut().tell(|_| "the process is stopped".to_owned());
        for _ in 0..2 {
            for shard in shards.all() {
                self.step(shard)?;
                self.look()?;
            }
        }
        let mut world = self.0.borrow_mut();
        world.reopen()
    }

    /// Nothing goes wrong any more, and everything comes to rest.
    pub(crate) fn come_to_rest(self: &Rc<Self>) -> Check {
        let shards = {
            let mut world = self.0.borrow_mut();
            world.tell(|_| "nothing goes wrong any more".to_owned());
            world.trouble.set_rates(Rates::default());
            (0..world.plan.groups).for_each(|place| world.trouble.set_down(place, false));
            if let Some(shipment) = &world.shipment {
                shipment.topic.is_well_again();
            }
            world.plan.shards
        };
        let (mut idle_rounds, mut is_taken) = (0, false);
        for _ in 0..ROUNDS_TO_REST_MAX {
            {
                let mut world = self.0.borrow_mut();
                world.tend();
                // work for every shard: what nobody waits for is settled when a shard is next taken
                is_taken = is_taken || world.load_again();
            }
            for shard in shards.all() {
                self.step(shard)?;
                self.look()?;
            }
            let world = self.0.borrow();
            let at_rest = world.pending.is_empty()
                && world.loading.is_empty()
                && world.administering.is_empty()
                && world.is_settled()
                && world.oracle.all_are_home().is_ok()
                && world.all_is_shipped().is_ok()
                && is_taken;
            idle_rounds += usize::from(at_rest);
            if idle_rounds == IDLE_ROUNDS {
                break;
            }
        }
        let mut world = self.0.borrow_mut();
        world.ends_well()?;
        world.reopen()?;
        world.ends_well()
    }
}

fn halted(fault: &FatalFault) -> Violation {
    Violation {
        rule: Rule::Halt,
        what: format!("the ledger ends itself: {fault:?}"),
    }
}

impl World {
    fn any_shard(&mut self) -> ShardId {
        let place = self.chance.below(usize::from(self.plan.shards.count()));
        self.plan.shards.shard(u8::try_from(place).unwrap()).unwrap()
    }

    fn client(&mut self) -> Client<'_> {
        Client {
            now: self.clock.now(),
            chance: &mut self.chance,
            bank: &self.bank,
            sent: &self.sent,
            serials: &self.serials,
        }
    }

    fn order(&mut self) {
        let order = self.client().new_order();
        self.send(order);
    }

    fn again(&mut self) {
        if let Some(order) = self.client().again() {
            self.send(order);
        }
    }

    fn any_group(&mut self) -> usize {
        self.chance.below(self.plan.groups)
    }

    fn group_falls(&mut self) {
        let place = self.any_group();
        self.trouble.set_down(place, true);
        self.tell(|_| format!("group {place} goes down"));
    }

    fn group_returns(&mut self) {
        let place = self.any_group();
        self.trouble.set_down(place, false);
        self.tell(|_| format!("group {place} is there again"));
    }

    fn probe(&mut self, place: usize) {
        let wrote = self.process.probe(place, &self.trouble);
        self.tell(|_| format!("a probe of group {place} wrote: {wrote}"));
    }

    fn bring_home(&mut self) {
        let round = self.process.bring_home();
        self.tell(|_| format!("the homecoming goes on: {round:?}"));
    }

    /// What goes on beside the orders.
    fn tend(&mut self) {
        self.process.pump();
        if self.plan.groups > 1 {
            (0..self.plan.groups).for_each(|place| self.probe(place));
            self.bring_home();
        }
        if self.plan.ledgers_ship > 0 {
            self.ship_all();
        }
    }

    fn send(&mut self, order: Instruction) {
        if self.plan.groups > 1 && !self.oracle.has_one_home(&order) {
            return;
        }
        let (patience_ms, born_late) = match self.chance.weighted(&[20, 4, 1]) {
            0 => (1_000_000, false),
            1 => (self.chance.between(1, 3_000), false),
            _ => (0, true),
        };
        let deadline_ms = self.clock.now_ms + patience_ms;
        let deadline = if born_late {
            Instant::now()
        } else {
            self.clock.instant(deadline_ms)
        };
        let place = self
            .oracle
            .sends(order.clone(), digest_of(self.oracle.orders.len()), deadline_ms);
        self.tell(|_| format!("request {place}, until {deadline_ms}: {order:?}"));
        let (sender, answers) = mpsc::channel(1);
        let reply = ReplyTo {
            number: u64::try_from(place).unwrap(),
            place: sender.try_reserve_owned().unwrap(),
        };
        self.pending.push(Pending {
            order: place,
            answers,
            faults_then: self.trouble.count(),
        });
        self.sent.push(order.clone());
        self.process
            .inside(|ledger| ledger.post(order, &evidence(place), deadline, reply));
    }

    fn ask(&mut self) -> Check {
        let key = match self.backing.late_key() {
            Some(late) if self.chance.per_mille(400) => late,
            _ => self.client().asked_key(),
        };
        self.query(&key).map(|_| ())
    }

    fn pass(&mut self) {
        let ms = [1, 100, 1_500, 60_000][self.chance.weighted(&[2, 3, 4, 1])];
        self.clock.pass(ms);
        self.process.pump();
        self.tell(|_| format!("{ms} ms have passed"));
    }

    fn late_gets_there(&mut self) {
        let shard = self.any_shard();
        if self.backing.late_gets_there(shard) {
            self.tell(|_| format!("a late commit of shard {shard} gets there"));
        }
    }

    fn administer(&mut self) {
        // whoever asks waits for room in the queue
        if self.queued() + 1 >= self.plan.limits.queue_max || self.process.is_bringing_home() {
            return;
        }
        let (act, account) = self.client().administration();
        let place = self.oracle.asks(act.clone());
        self.tell(|_| format!("operator {place}: {act:?}"));
        let (sender, reply) = oneshot::channel();
        let shard = home(self.plan.shards, account);
        self.process.ledger.shard(shard).administer(Administer {
            act,
            operator: place.to_string().parse().unwrap(),
            reason: "as asked".parse().unwrap(),
            reply: sender,
        });
        self.administering.push(Administering { act: place, reply });
    }

    /// Brings in all accounts and agreements, as often as it likes; whether there was room for it.
    pub(crate) fn load_again(&mut self) -> bool {
        if self.queued() + 1 >= self.plan.limits.queue_max || self.process.is_bringing_home() {
            return false;
        }
        let shards = self.plan.shards;
        for shard in shards.all() {
            let here = |token| home(shards, token) == shard;
            let accounts: Vec<_> = self
                .bank
                .accounts
                .iter()
                .filter(|account| here(account.token))
                .cloned()
                .collect();
            let agreements = self.bank.agreements.iter().filter(|agreement| here(agreement.account));
            let agreements: Vec<_> = agreements.cloned().collect();
            if accounts.is_empty() && agreements.is_empty() {
                continue;
            }
            self.oracle.loads(accounts.clone(), agreements.clone());
            let (sender, reply) = oneshot::channel();
            self.process.ledger.shard(shard).load(Load {
                accounts: (0..).zip(accounts.iter().cloned().map(Into::into)).collect(),
                agreements: (0..).zip(agreements.clone()).collect(),
                operator: "load".parse().unwrap(),
                reply: sender,
            });
            self.loading.push(Loading {
                reply,
                accounts,
                agreements,
            });
        }
        self.tell(|_| "accounts and agreements are loaded".to_owned());
        true
    }
}
