//! Having the keys tried: for those who ask, and every few seconds whether anybody asks or not, by the ordinary workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use operations::stop::Stop;
use signer_protocol::KeyHealth;

use crate::health::{HealthBoard, STALE, Told};
use crate::job::Job;
use crate::key_set::CurrentKeys;
use crate::queue::{Lane, Queue, Queued};

const EVERY: Duration = Duration::from_secs(10);
const _: () = assert!(3 * EVERY.as_secs() < STALE.as_secs());

#[derive(Debug, Clone)]
pub(crate) struct Trials {
    pub(crate) queue: Arc<Queue<Job>>,
    pub(crate) keys: Arc<CurrentKeys>,
    pub(crate) board: Arc<HealthBoard>,
}

/// Why nothing is known of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untried {
    Busy,
    Failed,
}

impl Trials {
    /// How every current key did just now. Waits for the workers as long as that takes.
    pub(crate) async fn health(&self) -> Result<Vec<KeyHealth>, Untried> {
        let answer = match self.board.ask(self.keys.now().generation, Instant::now()) {
            Told::Now(keys) => return Ok(keys),
            Told::Busy => return Err(Untried::Busy),
            Told::Later(answer) => answer,
            Told::LaterIfTried(answer) => {
                self.queue_trial();
                answer
            }
        };
        answer.await.map_err(|_| Untried::Failed)
    }

    /// Until the stop.
    pub(crate) async fn repeat(self, stop: Stop) {
        loop {
            if let Err(untried) = self.health().await {
                tracing::warn!(?untried, "the keys were not tried");
            }
            tokio::select! {
                () = stop.requested() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    fn queue_trial(&self) {
        let trial = Queued {
            lane: Lane::Health,
            bytes: 0,
            item: Job::Health,
        };
        if !self.queue.push_all([trial]).is_empty() {
            self.board.given_up();
        }
    }
}
