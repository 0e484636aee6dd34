//! The threads that use keys. Bounded in number, never the shared blocking pool of the runtime: a slow key store slows
//! the signer and nothing else.
//!
//! A worker does what it takes in stages, each one batched operation over all items, and looks into the lane of signing
//! between them: an answer to be signed waits for one stage of every worker at most. That is the verification of 64
//! messages, private-key work of cost [`PRIVATE_COST_MAX`], or [`TOKENISED_MAX`] tokens; the answers of a stage leave
//! when it ends.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use signer_protocol::{Answer, Failure, Open, Reveal, Seal, Sign, Tokenise, Tokens, Work};
use zeroize::Zeroize;

use crate::clock;
use crate::duties::{self, Finished, Subject, defect};
use crate::envelopes;
use crate::guarded::{guarded, guarded_all};
use crate::health::{self, Found, HealthBoard};
use crate::job::{Asked, By, Job};
use crate::key_set::{CurrentKeys, KeySet};
use crate::metrics::{Metrics, Operation, Tally, outcome, rejection_name};
use crate::opening::{self, Verdict, Verified};
use crate::queue::{Lane, Queue};
use crate::replies::send_all;
use crate::revealing;
use crate::sealing;
use crate::signing;

/// Private-key work that is done before the lane of signing is looked into again, in SM2 operations.
const PRIVATE_COST_MAX: usize = 16;
/// Tokens that are made before the lane of signing is looked into again.
const TOKENISED_MAX: usize = 512;
/// However long callers would wait, a key is not waited for longer.
const KEY_LIMIT: Duration = Duration::from_secs(5);
/// How long one key may take to show that it works.
const TRIAL_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Workers {
    threads: Vec<JoinHandle<()>>,
}

/// What every worker has.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) queue: Arc<Queue<Job>>,
    pub(crate) keys: Arc<CurrentKeys>,
    pub(crate) health: Arc<HealthBoard>,
    pub(crate) metrics: Metrics,
}

impl Workers {
    /// Threads that run until the queue is closed and empty.
    pub(crate) fn start(count: usize, worker: &Worker) -> io::Result<Self> {
        let threads = (0..count).map(|number| {
            let worker = worker.clone();
            Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || worker.run())
        });
        Ok(Self {
            threads: threads.collect::<io::Result<_>>()?,
        })
    }

    /// Waits for the last of them.
    pub(crate) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread ended by a panic");
            }
        }
    }
}

/// One take's set of keys and second, for all that is done with it.
struct Turn {
    keys: Arc<KeySet>,
    now: i64,
}

impl Worker {
    fn run(&self) {
        while let Some((lane, jobs)) = self.queue.take() {
            match lane {
                Lane::Health => self.try_keys(),
                Lane::Signing | Lane::Sealing | Lane::Opening => self.work_off(jobs),
            }
        }
    }

    fn turn(&self) -> Turn {
        Turn {
            keys: self.keys.now(),
            now: clock::unix_seconds(),
        }
    }

    fn work_off(&self, jobs: Vec<Job>) {
        self.metrics.queue(self.queue.depth());
        let taken = Instant::now();
        let (mut signs, mut seals, mut opens) = (Vec::new(), Vec::new(), Vec::new());
        let (mut tokenises, mut reveals) = (Vec::new(), Vec::new());
        let mut waits = Vec::with_capacity(jobs.len());
        for job in jobs {
            let Job::Work(Asked {
                work,
                caller,
                arrived,
                deadline,
                reply,
            }) = job
            else {
                continue;
            };
            waits.push(taken.duration_since(arrived));
            let asked = Asked {
                work: (),
                caller,
                arrived,
                deadline,
                reply,
            };
            match work {
                Work::Sign(sign) => signs.push(asked.with(|()| sign)),
                Work::Seal(seal) => seals.push(asked.with(|()| seal)),
                Work::Open(open) => opens.push(asked.with(|()| open)),
                Work::Tokenise(tokenise) => tokenises.push(asked.with(|()| tokenise)),
                Work::Reveal(reveal) => reveals.push(asked.with(|()| reveal)),
            }
        }
        self.metrics.waited(waits.into_iter());
        self.sign(signs);
        self.seal(seals);
        self.open(opens);
        self.tokenise(tokenises);
        self.reveal(reveals);
    }

    fn sign(&self, signs: Vec<Asked<Sign>>) {
        let signs = self.still_wanted(Operation::Sign, signs);
        if signs.is_empty() {
            return;
        }
        let Turn { keys, now } = &self.turn();
        let deadline = key_deadline(signs.iter());
        let works: Vec<By<'_, Sign>> = signs.iter().map(Asked::by).collect();
        let finished = guarded_all(&works, |signs| signing::sign_all(keys, signs, *now, deadline));
        self.finish(Operation::Sign, signs, or_defect(finished), |_, answer| {
            log_failure(Operation::Sign, answer);
        });
    }

    fn seal(&self, mut seals: Vec<Asked<Seal>>) {
        let Turn { keys, now } = &self.turn();
        while !seals.is_empty() {
            let cost = |asked: &Asked<Seal>| envelopes::cost(&keys.ring, &asked.work.encryption_serial, *now);
            let stage = split_front(&mut seals, cost);
            let stage = self.still_wanted(Operation::Seal, stage);
            let deadline = key_deadline(stage.iter());
            let works: Vec<By<'_, Seal>> = stage.iter().map(Asked::by).collect();
            let finished = guarded_all(&works, |seals| sealing::seal_all(keys, seals, *now, deadline));
            self.finish(Operation::Seal, stage, or_defect(finished), log_seal);
            self.signs_first();
        }
    }

    fn open(&self, opens: Vec<Asked<Open>>) {
        let opens = self.still_wanted(Operation::Open, opens);
        if opens.is_empty() {
            return;
        }
        let Turn { keys, now } = &self.turn();
        let works: Vec<&Open> = opens.iter().map(|asked| &asked.work).collect();
        let verdicts = guarded_all(&works, |opens| opening::verify_all(keys, opens, *now));
        let (mut done, mut answers, mut encrypted) = (Vec::new(), Vec::new(), Vec::new());
        for (asked, verdict) in opens.into_iter().zip(verdicts) {
            match verdict {
                Some(Verdict::Encrypted(verified)) => encrypted.push(asked.with(|open| (open, verified))),
                Some(Verdict::Finished(finished)) => {
                    done.push(asked);
                    answers.push(finished);
                }
                None => {
                    done.push(asked);
                    answers.push(Subject::NONE.with(defect()));
                }
            }
        }
        self.finish(Operation::Open, done, answers, log_open);
        encrypted.sort_by(|one, other| one.work.0.encryption_serial.cmp(&other.work.0.encryption_serial));
        while !encrypted.is_empty() {
            self.signs_first();
            let cost = |asked: &Asked<(Open, Verified<'_>)>| {
                envelopes::cost(&keys.ring, &asked.work.0.encryption_serial, *now)
            };
            let stage = split_front(&mut encrypted, cost);
            let stage = self.still_wanted(Operation::Open, stage);
            let deadline = key_deadline(stage.iter());
            let works = stage.iter().map(|asked| {
                let by = By {
                    work: &asked.work.0,
                    caller: &asked.caller,
                };
                (by, asked.work.1)
            });
            let works: Vec<_> = works.collect();
            let finished = guarded_all(&works, |works| opening::open_all(keys, works, *now, deadline));
            self.finish(Operation::Open, stage, or_defect(finished), |(open, _), answer| {
                log_open(open, answer);
            });
        }
    }

    fn tokenise(&self, tokenises: Vec<Asked<Tokenise>>) {
        for asked in tokenises {
            self.signs_first();
            let mut wanted = self.still_wanted(Operation::Tokenise, vec![asked]);
            let answers = wanted.iter_mut().map(|asked| {
                let answer = self.tokens(&asked.work);
                asked.work.plaintexts.zeroize();
                Subject::NONE.with(answer)
            });
            let answers = answers.collect();
            self.finish(Operation::Tokenise, wanted, answers, |_, answer| {
                log_failure(Operation::Tokenise, answer);
            });
        }
    }

    /// Each by itself: they are rare, and each waits for its record.
    fn reveal(&self, reveals: Vec<Asked<Reveal>>) {
        for asked in reveals {
            self.signs_first();
            let wanted = self.still_wanted(Operation::Reveal, vec![asked]);
            let Turn { keys, now } = &self.turn();
            let deadline = key_deadline(wanted.iter());
            let finished = wanted
                .iter()
                .map(|asked| guarded(|| revealing::reveal(keys, asked.by(), *now, deadline)));
            let finished = or_defect(finished.collect());
            self.finish(Operation::Reveal, wanted, finished, |_, answer| {
                log_failure(Operation::Reveal, answer);
            });
        }
    }

    /// All under one set of keys, however often signing comes in between.
    fn tokens(&self, tokenise: &Tokenise) -> Answer {
        let Turn { keys, .. } = &self.turn();
        let mut tokens = Tokens::default();
        for plaintexts in tokenise.plaintexts.chunks(TOKENISED_MAX) {
            let Some(some) = guarded(|| duties::tokens(&keys.tokens, tokenise, plaintexts)) else {
                return defect();
            };
            tokens.tokens.extend(some.tokens);
            tokens.other_generation.extend(some.other_generation);
            self.signs_first();
        }
        Answer::Tokens(tokens)
    }

    /// What waits to be signed goes before the rest of what this worker has taken.
    fn signs_first(&self) {
        let waiting = self.queue.take_waiting(Lane::Signing);
        if !waiting.is_empty() {
            self.work_off(waiting);
        }
    }

    /// Without those whose callers have given up; they are answered and counted, and no work is done on them.
    fn still_wanted<W>(&self, operation: Operation, asked: Vec<Asked<W>>) -> Vec<Asked<W>> {
        let now = Instant::now();
        let (wanted, expired): (Vec<_>, Vec<_>) = asked.into_iter().partition(|asked| now < asked.deadline);
        send_all(expired.into_iter().map(|asked| {
            self.metrics.expired(operation);
            let text = "the deadline passed in the queue";
            (asked.reply, Answer::Failed(Failure::Expired, text.to_owned()))
        }));
        wanted
    }

    /// Counts, logs and sends what a stage made.
    fn finish<W>(
        &self,
        operation: Operation,
        asked: Vec<Asked<W>>,
        finished: Vec<Finished<'_>>,
        log: impl Fn(&W, &Answer),
    ) {
        if asked.is_empty() {
            return;
        }
        self.metrics.batch(operation, asked.len());
        let mut tally = Tally::of(operation);
        for (asked, Finished { answer, subject }) in asked.iter().zip(&finished) {
            log(&asked.work, answer);
            tally.add(*subject, outcome(answer));
        }
        let now = Instant::now();
        self.metrics
            .answered(&tally, asked.iter().map(|asked| now.duration_since(asked.arrived)));
        let answers = finished.into_iter().map(|finished| finished.answer);
        send_all(asked.into_iter().map(|asked| asked.reply).zip(answers));
    }

    /// Uses every current key of the bank's both ways.
    fn try_keys(&self) {
        let Turn { keys, now } = &self.turn();
        let at = Instant::now();
        let mut told = Vec::new();
        let mut tally = Tally::of(Operation::Health);
        for (usage, key) in keys.ring.own() {
            if !keys.ring.is_usable(&key.certificate, *now) {
                continue;
            }
            let deadline = Instant::now() + TRIAL_LIMIT;
            let Some(trial) = guarded(|| health::trial(&keys.audit, usage, key, deadline)) else {
                return self.health.given_up();
            };
            tally.add(Subject::own(key), trial.name());
            if trial != health::Trial::Works {
                tracing::error!(
                    serial = key.certificate.serial(),
                    usage = usage.name(),
                    ?trial,
                    "a key was tried"
                );
            }
            told.push(health::told(usage, key, trial));
            self.signs_first();
        }
        self.metrics.answered(&tally, std::iter::once(at.elapsed()));
        self.metrics.keys(keys, None, *now);
        for list in keys.outdated_lists(*now) {
            tracing::warn!(
                file = list.file,
                "a revocation list is out of date; it is applied all the same"
            );
        }
        self.health.found(Found {
            at,
            generation: keys.generation,
            keys: told,
        });
    }
}

/// The first items, as many as cost no more than a stage may; one at least.
fn split_front<T>(items: &mut Vec<T>, cost: impl Fn(&T) -> usize) -> Vec<T> {
    let mut spent = 0;
    let fitting = items.iter().take_while(|item| {
        let fits = spent < PRIVATE_COST_MAX;
        spent += cost(item);
        fits
    });
    let rest = items.split_off(fitting.count());
    std::mem::replace(items, rest)
}

/// The latest of the callers', and never far away.
fn key_deadline<'w, W: 'w>(asked: impl Iterator<Item = &'w Asked<W>>) -> Instant {
    let limit = Instant::now() + KEY_LIMIT;
    asked
        .map(|asked| asked.deadline)
        .max()
        .map_or(limit, |latest| latest.min(limit))
}

fn or_defect(finished: Vec<Option<Finished<'_>>>) -> Vec<Finished<'_>> {
    let finished = finished.into_iter();
    finished
        .map(|finished| finished.unwrap_or_else(|| Subject::NONE.with(defect())))
        .collect()
}

/// Serials, names and outcomes; never what was signed, sealed or opened.
fn log_open(open: &Open, answer: &Answer) {
    if let Answer::Rejected(rejection) = answer {
        let (serial, issuer, reason) = (&*open.signing_serial, &*open.issuer, rejection_name(*rejection));
        tracing::info!(operation = "open", serial, issuer, reason, "rejected");
    }
    log_failure(Operation::Open, answer);
}

fn log_seal(seal: &Seal, answer: &Answer) {
    if let Answer::Rejected(rejection) = answer {
        let (serial, receiver, reason) = (&*seal.encryption_serial, &*seal.receiver, rejection_name(*rejection));
        tracing::info!(operation = "seal", serial, receiver, reason, "rejected");
    }
    log_failure(Operation::Seal, answer);
}

fn log_failure(operation: Operation, answer: &Answer) {
    if let Answer::Failed(failure, text) = answer {
        tracing::warn!(operation = operation.name(), ?failure, text, "not done");
    }
}

#[cfg(test)]
mod tests;
