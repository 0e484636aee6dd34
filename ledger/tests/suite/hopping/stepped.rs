//! A ledger over the servers whose shards are stepped by hand: what happens between two steps happens at that very moment,
//! and what is sent before a step is worked in one group.

use std::sync::Arc;
use std::time::Instant;

use ledger::books::HopRow;
use ledger::clock::Clock;
use ledger::meters::Meters;
use ledger::outcome::{Answer, Outcome, ReplyTo};
use ledger::router::{Ledger, LedgerParts};
use ledger::shard::{Errand, Fatal, ShardRun};
use ledger_model::Instruction;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};

use super::site::{Site, groups, lose, recover, shard};
use crate::bank::{LIMITS, SHARDS, WAIT, evidence, now};

pub(crate) struct Stepped {
    pub(crate) ledger: Arc<Ledger>,
    runs: Vec<ShardRun>,
}

/// An order that was sent.
pub(crate) struct Sent(mpsc::Receiver<Answer>);

impl Sent {
    /// What it was answered by now.
    pub(crate) fn outcome(&mut self) -> Outcome {
        self.0.try_recv().expect("it was answered").outcome
    }
}

impl Stepped {
    pub(crate) fn over(site: &Site) -> Self {
        let clock: Clock = Arc::new(now);
        let fatal: Fatal = Arc::new(|_| {});
        let parts = LedgerParts {
            stores: site.stores(),
            shards: SHARDS,
            limits: LIMITS,
            clock,
            meters: Meters::registered(&mut Registry::default()),
            fatal,
        };
        let (ledger, runs) = Ledger::assemble_over(groups(None), parts);
        Self { ledger, runs }
    }

    pub(crate) fn lose(&self, place: usize) {
        lose(self.ledger.groups(), place);
    }

    pub(crate) fn recover(&self, place: usize) {
        recover(self.ledger.groups(), place);
    }

    /// Into the queue of whichever shard it goes to.
    pub(crate) fn send(&self, instruction: &Instruction) -> Sent {
        let (sender, receiver) = mpsc::channel::<Answer>(1);
        let place = sender.try_reserve_owned().unwrap();
        let reply = ReplyTo { number: 0, place };
        let deadline = Instant::now() + WAIT;
        self.ledger
            .post(instruction.clone(), &evidence(instruction), deadline, reply);
        Sent(receiver)
    }

    /// Into the queue of that shard.
    pub(crate) fn ask<T>(&self, number: u8, errand: impl FnOnce(oneshot::Sender<T>) -> Errand) -> oneshot::Receiver<T> {
        let (reply, done) = oneshot::channel();
        self.ledger.shard(shard(number)).errand(errand(reply));
        done
    }

    /// A shard works what is in its queue.
    pub(crate) fn step(&mut self, number: u8) {
        let run = &mut self.runs[usize::from(number)];
        run.step(Instant::now()).unwrap();
    }

    /// Posted by that shard now; its serial.
    pub(crate) fn posted(&mut self, instruction: &Instruction, number: u8) -> String {
        let mut sent = self.send(instruction);
        self.step(number);
        match sent.outcome() {
            Outcome::Decided { transfer, .. } => transfer.serial.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// The one hop that is open in group b, whatever its home.
    pub(crate) fn open_in_b(&mut self) -> Box<HopRow> {
        let homes = SHARDS.all().collect();
        let mut listed = self.ask(2, |reply| Errand::ListOpen { homes, limit: 9, reply });
        self.step(2);
        let mut rows = listed.try_recv().unwrap().rows;
        assert_eq!(rows.len(), 1);
        Box::new(rows.remove(0))
    }
}
