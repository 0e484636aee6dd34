//! The way of a post: home, or where [`crate::hopping`] sends it, and on from a shard that could not work it.

use std::sync::{Arc, Weak};

use ledger_model::{Hop, Instruction};
use ledger_protocol::NothingPosted;

use super::Ledger;
use crate::hopping::route::{AtHome, Order, OrderKind, Route};
use crate::outcome::Outcome;
use crate::shard::{FIRST_ATTEMPT, Post, Returned, Task};

/// Shards that may turn a post away before it is refused: one that was just thought to live, for each of a few groups.
const TURNED_AWAY_MAX: u8 = 4;

impl Ledger {
    /// Sends a post where it belongs, given what came of it at its home so far.
    pub(super) fn route(&self, mut post: Box<Post>, at_home: AtHome) {
        let home = post.home;
        let order = Order {
            home,
            kind: order_kind(&post.instruction),
            at_home,
        };
        match self.groups.route(order) {
            Route::Home => {
                post.task = self.task_at_home(order);
                self.shard(home).post(post);
            }
            Route::Hop(taker) | Route::StandIn(taker) => {
                let attempt = match at_home {
                    AtHome::NotTried | AtHome::Nothing => FIRST_ATTEMPT,
                    AtHome::InDoubt => FIRST_ATTEMPT + 1,
                };
                let hop = Hop {
                    home,
                    attempt,
                    epoch: self.shard(home).epoch(),
                };
                post.task = Task::TakeIn {
                    hop,
                    underway: self.groups.hop(home, taker),
                };
                self.shard(taker).post(post);
            }
            Route::HomeDown => {
                self.meters.other("home_down");
                post.answer(Outcome::NothingPosted(NothingPosted::HomeDown));
            }
            Route::InProcess => {
                self.meters.other("in_process");
                post.answer(Outcome::InProcess);
            }
        }
    }

    /// What the home is asked to do. What may have hopped into a group that cannot be asked is not decided anew, nor is a
    /// refund whose original may be a payment that somebody stood in for.
    fn task_at_home(&self, order: Order) -> Task {
        let stands_in = self.groups.stands_in();
        let is_open_question = match order.kind {
            OrderKind::Payout => self.groups.may_be_unseen(order.home),
            OrderKind::Payment => stands_in && self.groups.may_be_unseen(order.home),
            OrderKind::BoundToHome => stands_in && self.groups.may_be_open(order.home),
        };
        if is_open_question { Task::Recall } else { Task::Decide }
    }

    /// Takes back what a shard could not work.
    fn take_back(&self, post: Box<Post>, at_home: AtHome) {
        let at_home = match &post.task {
            // the home was not asked now: what was known of it stays
            Task::TakeIn { hop, .. } if hop.attempt > FIRST_ATTEMPT => AtHome::InDoubt,
            Task::TakeIn { .. } => AtHome::Nothing,
            Task::Decide | Task::Recall => at_home,
        };
        if post.turned_away < TURNED_AWAY_MAX {
            return self.route(post, at_home);
        }
        self.meters.other("home_down");
        match at_home {
            AtHome::InDoubt => post.answer(Outcome::InProcess),
            AtHome::NotTried | AtHome::Nothing => post.answer(Outcome::NothingPosted(NothingPosted::HomeDown)),
        }
    }
}

pub(super) fn returned_to(ledger: Weak<Ledger>) -> Returned {
    Arc::new(move |post, at_home| match ledger.upgrade() {
        Some(ledger) => ledger.take_back(post, at_home),
        // the ledger ends; nothing definite is said any more
        None => post.answer(Outcome::InProcess),
    })
}

fn order_kind(instruction: &Instruction) -> OrderKind {
    match instruction {
        Instruction::Payment(_) => OrderKind::Payment,
        Instruction::Payout(_) => OrderKind::Payout,
        Instruction::Refund(_) | Instruction::Reversal(_) | Instruction::Supplement(_) => OrderKind::BoundToHome,
    }
}
