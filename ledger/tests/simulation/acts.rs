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
}

const ACTS: [(Act, u64); 11] = [
    (Act::Order, 26),
    (Act::Again, 18),
    (Act::Query, 10),
    (Act::Step, 32),
    (Act::Pump, 6),
    (Act::Pass, 8),
    (Act::LateGetsThere, 3),
    (Act::Load, 1),
    (Act::Administer, 4),
    (Act::Crash, 1),
    (Act::Stop, 1),
];

pub(crate) struct Simulation(pub(crate) RefCell<World>);

impl Simulation {
    /// One act, whatever it is, and a look at everything afterwards.
    pub(crate) fn act(self: &Rc<Self>) -> Check {
        let (act, is_within) = {
            let mut world = self.0.borrow_mut();
            let place = world.chance.weighted(&ACTS.map(|(_, weight)| weight));
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
            Act::Load => self.0.borrow_mut().load_again(),
            Act::Administer => self.0.borrow_mut().administer(),
            Act::Crash => {
                let mut world = self.0.borrow_mut();
                world.tell(|_| "crash".to_owned());
                world.trouble.set_crashed(true);
            }
            Act::Stop => self.stop()?,
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
            if world.queued() >= world.plan.limits.queue_max {
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
            world.plan.shards
        };
        let mut idle_rounds = 0;
        for _ in 0..ROUNDS_TO_REST_MAX {
            self.0.borrow_mut().process.pump();
            for shard in shards.all() {
                self.step(shard)?;
                self.look()?;
            }
            let world = self.0.borrow();
            let at_rest = world.pending.is_empty() && world.loading.is_empty() && world.administering.is_empty();
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

    fn send(&mut self, order: Instruction) {
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
        let key = self.client().asked_key();
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
        if self.queued() + 1 >= self.plan.limits.queue_max {
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

    /// Brings in all accounts and agreements, as often as it likes.
    pub(crate) fn load_again(&mut self) {
        if self.queued() + 1 >= self.plan.limits.queue_max {
            return;
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
    }
}
