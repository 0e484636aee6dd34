//! The threads that use keys. Bounded in number, never the shared blocking pool of the runtime: a slow key store slows
//! the signer and nothing else. A panic in one piece of work fails that piece alone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use signer_protocol::{Answer, Failure, Work};
use zeroize::Zeroize;

use crate::clock;
use crate::duties::Duties;
use crate::job::{Job, ReplySlot, Task};
use crate::metrics::{DONE, Metrics, Operation, outcome, rejection_name};
use crate::queue::Queue;

/// What one worker takes at once. Small: signing waits behind what was taken before it.
pub(crate) const TAKE_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct Workers {
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Threads that run until the queue is closed and empty.
    pub(crate) fn start(
        count: usize,
        queue: &Arc<Queue<Job>>,
        duties: &Arc<Duties>,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let threads = (0..count).map(|number| {
            let worker = Worker {
                duties: Arc::clone(duties),
                metrics: metrics.clone(),
            };
            let queue = Arc::clone(queue);
            Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || worker.run(&queue))
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

struct Worker {
    duties: Arc<Duties>,
    metrics: Metrics,
}

impl Worker {
    fn run(&self, queue: &Queue<Job>) {
        while let Some(jobs) = queue.take() {
            self.metrics.taken(jobs.len());
            for job in jobs {
                self.finish(job);
            }
        }
    }

    fn finish(&self, job: Job) {
        let operation = job.task.operation();
        if Instant::now() >= job.deadline {
            self.metrics.expired(operation);
            if let Task::Work { reply, .. } = job.task {
                reply.send(Answer::Failed(
                    Failure::Expired,
                    "the deadline passed in the queue".to_owned(),
                ));
            }
            return;
        }
        match job.task {
            Task::Work { work, reply } => self.answer(operation, work, reply, (job.arrived, job.deadline)),
            Task::Health(asker) => {
                let Some(health) = guarded(|| self.duties.health(clock::unix_seconds())) else {
                    return;
                };
                self.metrics.answered(operation, DONE, job.arrived.elapsed());
                let _asker_has_gone = asker.send(health);
            }
        }
    }

    fn answer(&self, operation: Operation, mut work: Work, reply: ReplySlot, (arrived, deadline): (Instant, Instant)) {
        let now = clock::unix_seconds();
        let answer = guarded(|| self.duties.perform(&work, now, deadline))
            .unwrap_or_else(|| Answer::Failed(Failure::Internal, "a defect".to_owned()));
        log(operation, &work, &answer);
        if let Work::Tokenise(tokenise) = &mut work {
            tokenise.plaintexts.zeroize();
        }
        self.metrics.answered(operation, outcome(&answer), arrived.elapsed());
        reply.send(answer);
    }
}

/// None after a panic, which the panic hook has reported. The keys are never changed, so none is left half-changed.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Serials, names and outcomes; never what was signed, sealed or opened.
fn log(operation: Operation, work: &Work, answer: &Answer) {
    let operation = operation.name();
    match (work, answer) {
        (Work::Open(open), Answer::Rejected(rejection)) => {
            let (serial, issuer, reason) = (&*open.signing_serial, &*open.issuer, rejection_name(*rejection));
            tracing::info!(operation, serial, issuer, reason, "rejected");
        }
        (Work::Seal(seal), Answer::Rejected(rejection)) => {
            let (serial, receiver, reason) = (&*seal.encryption_serial, &*seal.receiver, rejection_name(*rejection));
            tracing::info!(operation, serial, receiver, reason, "rejected");
        }
        (_, Answer::Failed(failure, text)) => tracing::warn!(operation, ?failure, text, "not done"),
        _ => tracing::trace!(operation, "done"),
    }
}
