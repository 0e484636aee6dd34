//! A piece of work on its way through the queue, with the place its answer goes to.

use std::time::Instant;

use signer_protocol::{Answer, KeyHealth, Work, wire};
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::oneshot;

use crate::metrics::Operation;
use crate::queue::Lane;

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) arrived: Instant,
    /// After this nobody waits for the answer.
    pub(crate) deadline: Instant,
    pub(crate) task: Task,
}

#[derive(Debug)]
pub(crate) enum Task {
    Work { work: Work, reply: ReplySlot },
    Health(oneshot::Sender<Vec<KeyHealth>>),
}

/// A place in the reply stream, reserved before the work was queued: sending never waits, so a peer that does not
/// read its answers stops its own stream and nothing else.
#[derive(Debug)]
pub(crate) struct ReplySlot {
    number: u64,
    permit: OwnedPermit<wire::Reply>,
}

impl ReplySlot {
    pub(crate) const fn new(number: u64, permit: OwnedPermit<wire::Reply>) -> Self {
        Self { number, permit }
    }

    pub(crate) fn send(self, answer: Answer) {
        self.permit.send(answer.into_reply(self.number));
    }
}

impl Task {
    pub(crate) const fn lane(&self) -> Lane {
        match self.operation() {
            Operation::Sign | Operation::Seal | Operation::Health => Lane::Urgent,
            Operation::Open | Operation::Reveal | Operation::Tokenise => Lane::Ordinary,
        }
    }

    pub(crate) const fn operation(&self) -> Operation {
        match self {
            Self::Work { work, .. } => Operation::of(work),
            Self::Health(_) => Operation::Health,
        }
    }
}
