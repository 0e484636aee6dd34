//! What a worker makes of a batch: panics, deadlines, the order of signing and other work.

use std::sync::Mutex;
use std::sync::OnceLock;

use prometheus_client::registry::Registry;
use signer_protocol::{Suite, wire};
use tokio_stream::StreamExt;

use super::*;
use crate::config::KeyUse;
use crate::key_ring::KeyRing;
use crate::policy::Caller;
use crate::pretended_key::{OLDER, PretendedKey};
use crate::queue::{QueueLimits, Queued};
use crate::replies::{Replies, ReplyStream, line};
use crate::tokens::tests::one;

const POISON: &[u8] = b"poison";

/// A worker that is yet to run, and the line its answers go to.
struct Bench {
    worker: Worker,
    replies: Replies,
    stream: ReplyStream,
}

impl Bench {
    fn new(ring: KeyRing) -> Self {
        let queue = Queue::new(QueueLimits {
            items_max: 999,
            bytes_max: usize::MAX,
            takers: 1,
        });
        let (replies, stream) = line();
        Self {
            worker: Worker {
                queue: Arc::new(queue),
                keys: Arc::new(CurrentKeys::new(KeySet::of(ring, one()))),
                health: Arc::default(),
                metrics: Metrics::register(&mut Registry::default()),
            },
            replies,
            stream,
        }
    }

    fn queued(&self, number: u64, work: Work, budget: Duration) -> Queued<Job> {
        let arrived = Instant::now();
        Queued {
            lane: crate::job::lane(&work),
            bytes: 1,
            item: Job::Work(Asked {
                work,
                caller: Arc::new(Caller::owner()),
                arrived,
                deadline: arrived + budget,
                reply: self.replies.slot(number),
            }),
        }
    }

    /// Runs the worker until all is done that was queued; the answers by number.
    async fn run(self, queued: Vec<Queued<Job>>) -> Vec<wire::reply::What> {
        let count = queued.len();
        assert!(self.worker.queue.push_all(queued).is_empty());
        self.worker.queue.close();
        Workers::start(1, &self.worker).unwrap().join();
        drop(self.replies);
        let mut replies: Vec<wire::Reply> = Vec::new();
        let mut stream = self.stream;
        while let Some(batch) = stream.next().await {
            replies.extend(batch.unwrap().items);
        }
        assert_eq!(replies.len(), count);
        replies.sort_by_key(|reply| reply.number);
        replies.into_iter().map(|reply| reply.what.unwrap()).collect()
    }
}

fn sign(signed: &[u8]) -> Work {
    Work::Sign(Sign {
        suite: Suite::Sm,
        signed: signed.to_vec(),
        signing_serial: String::new(),
    })
}

/// Sealing that comes to nothing, by the private key.
fn seal(serial: &str) -> Work {
    Work::Seal(Seal {
        encryption_serial: serial.to_owned(),
        envelope: Vec::new(),
        fields: Vec::new(),
        receiver: String::new(),
    })
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_poisonous_item_fails_alone() {
    let mut ring = KeyRing::new([]);
    let key = PretendedKey::add(&mut ring, KeyUse::Sign, OLDER, |signed| {
        assert!(!signed.contains(&POISON), "poison");
        Ok(())
    });
    let bench = Bench::new(ring);
    let queued = (0..10).map(|number| {
        let signed = if number == 4 { POISON } else { b"<root/>" };
        bench.queued(number, sign(signed), LONG)
    });
    let queued = queued.collect();
    for (number, answer) in bench.run(queued).await.into_iter().enumerate() {
        match answer {
            wire::reply::What::Failed(failed) => {
                assert_eq!((number, failed.cause()), (4, wire::failed::Cause::Internal));
            }
            wire::reply::What::Signed(_) => assert_ne!(number, 4),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        key.uses(),
        [vec![10], vec![1; 10]].concat(),
        "together, then one by one"
    );
}

/// The device stalls with the first stage until the rest have expired: they are not put to it.
#[tokio::test]
async fn deadlines_count_again_before_private_key_work() {
    let until = Arc::new(OnceLock::new());
    let mut ring = KeyRing::new([]);
    let key = PretendedKey::add(&mut ring, KeyUse::Decrypt, OLDER, {
        let until = Arc::clone(&until);
        move |_| {
            while Instant::now() < *until.wait() {
                std::thread::yield_now();
            }
            Ok(())
        }
    });
    let bench = Bench::new(ring);
    let short = Duration::from_secs(2);
    let numbers = 0..u64::try_from(PRIVATE_COST_MAX).unwrap() + 4;
    let queued: Vec<_> = numbers.map(|number| bench.queued(number, seal(OLDER), short)).collect();
    until.set(Instant::now() + short).unwrap();
    let answers = bench.run(queued).await;
    let expired = answers.iter().filter(
        |answer| matches!(answer, wire::reply::What::Failed(failed) if failed.cause() == wire::failed::Cause::Expired),
    );
    assert_eq!(expired.count(), 4);
    assert_eq!(key.uses(), [PRIVATE_COST_MAX]);
}

/// A queue, and what is to be pushed into it while other work is done.
type LateSign = (Arc<Queue<Job>>, Mutex<Option<Queued<Job>>>);

/// An answer that comes to be signed while envelopes are opened is signed before the next of them.
#[tokio::test]
async fn signing_goes_between_the_stages_of_other_work() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let order = Arc::clone(&order);
        move || order.lock().unwrap().push(what)
    };
    let late: Arc<OnceLock<LateSign>> = Arc::default();
    let mut ring = KeyRing::new([]);
    let (opened, signed) = (note("opened"), note("signed"));
    PretendedKey::add(&mut ring, KeyUse::Decrypt, OLDER, {
        let late = Arc::clone(&late);
        move |_| {
            opened();
            let (queue, sign) = late.get().unwrap();
            if let Some(sign) = sign.lock().unwrap().take() {
                assert!(queue.push_all([sign]).is_empty());
                queue.close();
            }
            Ok(())
        }
    });
    PretendedKey::add(&mut ring, KeyUse::Sign, OLDER, move |_| {
        signed();
        Ok(())
    });
    let bench = Bench::new(ring);
    let seals = u64::try_from(2 * PRIVATE_COST_MAX).unwrap();
    let sign = bench.queued(seals, sign(b"<root/>"), LONG);
    let queue = Arc::clone(&bench.worker.queue);
    late.set((Arc::clone(&queue), Mutex::new(Some(sign)))).unwrap();
    let queued: Vec<_> = (0..seals)
        .map(|number| bench.queued(number, seal(OLDER), LONG))
        .collect();
    assert!(queue.push_all(queued).is_empty());
    Workers::start(1, &bench.worker).unwrap().join();
    assert_eq!(*order.lock().unwrap(), ["opened", "signed", "opened"]);
    assert_eq!(PRIVATE_COST_MAX, 16, "as the README has it");
}

#[test]
fn a_stage_costs_what_it_may_and_takes_one_at_least() {
    #[track_caller]
    fn check(costs: &[usize], expected: &[usize]) {
        let mut left = costs.to_vec();
        let mut stages = Vec::new();
        while !left.is_empty() {
            stages.push(split_front(&mut left, |cost| *cost).len());
        }
        assert_eq!(stages, expected);
    }
    check(&[1; 16], &[16]);
    check(&[1; 40], &[16, 16, 8]);
    check(&[8; 5], &[2, 2, 1]);
    check(&[0; 64], &[64]);
    check(&[99, 99], &[1, 1]);
}

#[test]
fn a_key_is_never_waited_for_longer_than_its_limit() {
    let bench = Bench::new(KeyRing::new([]));
    let of = |budget: Duration| {
        let Job::Work(asked) = bench.queued(1, sign(b""), budget).item else {
            panic!("it is work");
        };
        asked
    };
    let check = |budgets: &[Duration], most: Duration| {
        let asked: Vec<_> = budgets.iter().map(|budget| of(*budget)).collect();
        assert!(key_deadline(asked.iter()) <= Instant::now() + most);
    };
    check(
        &[Duration::from_millis(1), Duration::from_secs(1)],
        Duration::from_secs(1),
    );
    check(&[Duration::from_hours(1)], KEY_LIMIT);
}
