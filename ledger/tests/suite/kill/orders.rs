//! What is ordered of ledgers that are killed, what of it was answered, and what a resend comes to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::future::join_all;
use ledger_model::{Decision, Instruction, Transfer, TransferKey};
use ledger_protocol::{LedgerClient, PostReply};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{ACCOUNTS, stalled};
use crate::bank::{WAIT, evidence, payment, payout, refund};

const CLIENTS: u64 = 24;
/// A machine that does much else may leave a ledger without time for as long as that.
const PATIENCE: std::time::Duration = WAIT.saturating_mul(6);
/// Of several ledgers all are asked for every so many-th order, at the same time.
const ASKED_OF_ALL_EVERY: u64 = 4;

/// What was ordered and what came of it, over all lives of the processes.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    next: Arc<AtomicU64>,
    pub(super) answered: BTreeMap<TransferKey, Transfer>,
    pub(super) unanswered: BTreeMap<TransferKey, Instruction>,
    /// The last that each client had answered: what a crash would lose first.
    last_answered: Vec<Instruction>,
    lives: u32,
    /// In which nothing was answered.
    idle_lives: u32,
}

/// Clients that each send until they have lost every ledger, or are told to stop.
pub(super) struct Load {
    tasks: Vec<JoinHandle<Ordered>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    pub(super) fn start(ledgers: &[LedgerClient], ordered: &mut Ordered) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let start = |_| {
            let (ledgers, stop, next) = (ledgers.to_vec(), Arc::clone(&stop), Arc::clone(&ordered.next));
            tokio::spawn(send(ledgers, next, stop))
        };
        Self {
            tasks: (0..CLIENTS).map(start).collect(),
            stop,
        }
    }

    /// After all ledgers were killed.
    pub(super) async fn lost(self) -> Vec<Ordered> {
        let mut all = Vec::new();
        for task in self.tasks {
            all.push(task.await.unwrap());
        }
        all
    }

    pub(super) async fn stop(self) -> Vec<Ordered> {
        self.stop.store(true, Ordering::SeqCst);
        self.lost().await
    }
}

fn instruction(number: u64) -> Instruction {
    let place = number % ACCOUNTS;
    match number % 8 {
        // of the payment eight before, perhaps never posted
        7 if number > 8 => refund(number, number - 9, (number - 9) % ACCOUNTS, 300, 10),
        5 => payout(number, place, 200),
        _ => payment(number, place, 300),
    }
}

/// Of a ledger that was killed the client knows so at once; one that lives answers, however late.
async fn post(ledger: &LedgerClient, instruction: &Instruction) -> PostReply {
    let deadline = Instant::now() + PATIENCE;
    let reply = ledger.post(instruction.clone(), evidence(instruction), deadline).await;
    if Instant::now() < deadline {
        return reply;
    }
    panic!(
        "no answer ({reply:?}); {}",
        stalled::how_it_stands(ledger, instruction).await
    );
}

/// What was not answered when a connection was lost is not known.
async fn send(mut ledgers: Vec<LedgerClient>, next: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Ordered {
    let mut ordered = Ordered::default();
    while !ledgers.is_empty() && !stop.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let instruction = instruction(number);
        let asked = if number.is_multiple_of(ASKED_OF_ALL_EVERY) {
            0..ledgers.len()
        } else {
            let one = usize::try_from(number).unwrap() % ledgers.len();
            one..one + 1
        };
        let begin = asked.start;
        let replies = join_all(ledgers[asked].iter().map(|ledger| post(ledger, &instruction))).await;
        let lost = ordered.take(instruction, &replies);
        for place in lost.into_iter().rev() {
            ledgers.remove(begin + place);
        }
    }
    ordered
}

impl Ordered {
    /// The replies of several ledgers to one order that is new to all; which of them did not answer.
    fn take(&mut self, instruction: Instruction, replies: &[PostReply]) -> Vec<usize> {
        let (mut lost, mut new) = (Vec::new(), 0);
        for (place, reply) in replies.iter().enumerate() {
            match reply {
                PostReply::Decided { transfer, repeat } => {
                    new += u32::from(!repeat);
                    let other = self.answered.insert(transfer.key, transfer.clone());
                    assert!(other.is_none_or(|other| other == *transfer), "two answers: {replies:?}");
                }
                PostReply::Unknown | PostReply::NothingPosted(_) => lost.push(place),
                PostReply::Conflict(_) => panic!("{replies:?}"),
            }
        }
        match (new, lost.len()) {
            (1, _) => self.last_answered = vec![instruction],
            // nobody was told, or whoever posted it was killed and another told the same
            (0, 1..) if lost.len() == replies.len() => {
                self.unanswered.insert(*instruction.key(), instruction);
            }
            (0, 1..) => {}
            _ => panic!("a new key is posted once: {replies:?}"),
        }
        lost
    }

    /// What clients have found out in one more life.
    pub(super) fn extend(&mut self, found: Vec<Self>) {
        let before = self.answered.len();
        for found in found {
            self.answered.extend(found.answered);
            self.unanswered.extend(found.unanswered);
            self.last_answered.extend(found.last_answered);
        }
        self.lives += 1;
        self.idle_lives += u32::from(self.answered.len() == before);
    }

    /// Has what was left open settled, each by one of these in turn, and what was answered last answered again.
    pub(super) async fn settle(&mut self, ledgers: &[LedgerClient]) {
        let mut turns = ledgers.iter().cycle();
        for (key, instruction) in std::mem::take(&mut self.unanswered) {
            let transfer = settled(turns.next().unwrap(), &instruction).await;
            self.answered.insert(key, transfer);
        }
        for instruction in std::mem::take(&mut self.last_answered) {
            let told = settled(turns.next().unwrap(), &instruction).await;
            assert_eq!(told, self.answered[instruction.key()], "a resend is told the same");
        }
    }

    pub(super) fn check_posted(&self) {
        let posted = self.answered.values();
        let posted = posted.filter(|transfer| transfer.decision == Decision::Posted).count();
        assert!(posted > 100, "the load posts");
        let Self { lives, idle_lives, .. } = self;
        assert!(idle_lives * 2 < *lives, "{idle_lives} of {lives} lives were too short");
    }
}

/// Resends until it is decided: a shard group that was away is looked for again.
async fn settled(ledger: &LedgerClient, instruction: &Instruction) -> Transfer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match post(ledger, instruction).await {
            PostReply::Decided { transfer, .. } => return transfer,
            reply if Instant::now() >= deadline => {
                let stands = stalled::how_it_stands(ledger, instruction).await;
                panic!("a resend settles it: {reply:?}; {stands}");
            }
            _ => {}
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
