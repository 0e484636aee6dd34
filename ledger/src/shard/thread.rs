//! The thread of a shard: takes what is queued and has it worked, a group at a time.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;

use super::worker::Worker;
use super::{FatalFault, Job};
use crate::store::Store;

/// How often an idle shard writes down how far Kafka has come, and looks what other processes have committed.
const IDLE: Duration = Duration::from_secs(1);

/// The inside of a shard: its queue and what works it, on a thread of its own or stepped by whoever has it.
pub struct ShardRun {
    pub(super) worker: Worker,
    pub(super) queue: Receiver<Job>,
    pub(super) depth: Gauge,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    Worked,
    /// Nothing was queued.
    Idle,
    /// It was told to stop, or nobody can queue anything any more.
    Stopped,
}

enum Next {
    Go,
    Stop,
}

impl ShardRun {
    /// Runs until it is stopped, on a thread of its own.
    pub(crate) fn spawn(self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name(format!("shard-{}", self.worker.shard))
            .spawn(move || self.run())
    }

    /// Works what is queued now, a group of it at the most; waits for nothing. Work whose deadline is not after `now` is
    /// not worked. After a fault it must not be stepped again: its process has ended.
    pub fn step(&mut self, now: Instant) -> Result<Stepped, FatalFault> {
        match self.queue.try_recv() {
            Ok(first) => match self.work_from(first, now)? {
                Next::Go => Ok(Stepped::Worked),
                Next::Stop => Ok(Stepped::Stopped),
            },
            Err(TryRecvError::Empty) => self.worker.idle().map(|()| Stepped::Idle),
            Err(TryRecvError::Disconnected) => Ok(Stepped::Stopped),
        }
    }

    pub fn store(&self) -> &dyn Store {
        self.worker.parts.store.as_ref()
    }

    fn run(mut self) {
        let worked = std::panic::catch_unwind(AssertUnwindSafe(|| self.work()));
        let parts = &self.worker.parts;
        let fault = match worked {
            Ok(Ok(())) => return,
            Ok(Err(fault)) => fault,
            Err(panic) => FatalFault::Panic {
                shard: self.worker.shard,
                text: panic_text(panic.as_ref()).to_owned(),
            },
        };
        parts.halted.store(true, Ordering::Release);
        if let FatalFault::Defect { source, .. } = &fault {
            parts.meters.defect(source.invariant);
        }
        (parts.fatal)(&fault);
    }

    fn work(&mut self) -> Result<(), FatalFault> {
        loop {
            let first = match self.queue.recv_timeout(IDLE) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => {
                    self.worker.idle()?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return self.worker.note_shipped(),
            };
            if matches!(self.work_from(first, Instant::now())?, Next::Stop) {
                return self.worker.note_shipped();
            }
        }
    }

    fn work_from(&mut self, first: Job, now: Instant) -> Result<Next, FatalFault> {
        let (jobs, next) = self.take(first);
        self.worker.work(jobs, now)?;
        Ok(next)
    }

    /// What is queued now, up to the size of a group.
    fn take(&self, first: Job) -> (Vec<Job>, Next) {
        let parts = &self.worker.parts;
        let mut jobs = Vec::new();
        let mut size = 0;
        let mut job = Some(first);
        while let Some(taken) = job {
            size += match &taken {
                Job::Stop => return (jobs, Next::Stop),
                Job::Post(_) | Job::Errand(_) | Job::Administer(_) | Job::Ask(_) => 1,
                Job::Load(load) => load.accounts.len() + load.agreements.len(),
            };
            self.depth.dec();
            jobs.push(taken);
            job = if size < parts.limits.commit_batch_max {
                self.queue.try_recv().ok()
            } else {
                None
            };
        }
        parts.meters.group(u32::try_from(size).unwrap_or(u32::MAX));
        (jobs, Next::Go)
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

impl std::fmt::Debug for ShardRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShardRun(shard {})", self.worker.shard)
    }
}
