//! Sessions of a device, shared by the workers that need them: what PKCS#11 and GM/T 0018 have in common.
//!
//! ```text
//!  worker ──▶ queue ──▶ session thread ──▶ device       one session each, opened and used by its thread alone
//!     ◀── outcome ──────────┘   keeper: marks the stuck, replaces them, at most as many again
//! ```
//!
//! Invariants: a caller waits until its deadline or until the device has been silent for `call_ms`, whichever is first;
//! what nobody waits for any more is dropped unworked. A call that stalls holds its own session thread and no other.
//! What a lost session was doing is done once more on a fresh one. After failures in a row the breaker opens: callers
//! are refused at once while the threads reconnect and probe in the background. A secret that was refused is not
//! presented again, so that no token locks.
//!
//! It knows nothing of suites or certificates: the sessions do, by [`super::counterpart`].

mod breaker;
mod call;
mod keeper;
mod session_thread;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use signer_crypto::FieldKey;
use thiserror::Error;

use super::entry::SessionLimits;
use super::metrics::ProviderState;
use breaker::Breaker;
use call::Call;
use state::{Item, State};

/// Items that wait for a session; what comes beyond is refused as busy.
const QUEUE_MAX: usize = 1024;
/// How long the end of a pool waits for its threads. One that is stuck in a call is left behind.
const LEAVING_LIMIT: Duration = Duration::from_secs(2);

/// A device that sessions are opened with.
pub(crate) trait Device: fmt::Debug + Send + Sync + 'static {
    type Key: fmt::Debug + Send + Sync + 'static;
    type Session: Session<Key = Self::Key>;

    fn open(&self) -> Result<Self::Session, DeviceFault>;
}

/// One session, used by the thread that opened it. It looks a key up at its first use, and judges whether it is the one
/// of its certificate.
pub(crate) trait Session {
    type Key;

    fn perform(&mut self, key: &Self::Key, operation: &Operation) -> Result<Output, DeviceFault>;

    /// Whether session and device answer at all. Uses no key.
    fn probe(&mut self) -> Result<(), DeviceFault>;
}

/// What a device is asked. Owned: the caller may be gone when it is done.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    /// That the key is there and belongs to its certificate.
    Check,
    /// These bytes; gives [`Output::Signature`].
    Sign(Vec<u8>),
    /// This envelope; gives [`Output::FieldKey`].
    Open(Vec<u8>),
}

#[derive(Debug)]
pub(crate) enum Output {
    Checked,
    /// In the form in which it leaves, and verified.
    Signature(Vec<u8>),
    FieldKey(FieldKey),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DeviceFault {
    /// The session, or the device behind it, is lost or cannot be had; later it may.
    #[error("the device is away: {0}")]
    Away(String),
    /// The device answers, and this key cannot be used there. Asking again changes nothing.
    #[error("{0}")]
    Unusable(String),
    /// It is the input that the device does not take. A message can cause it.
    #[error("the device does not take the input")]
    InputRefused,
    #[error("the device failed: {0}")]
    Failed(String),
    #[error("no answer in time")]
    NoAnswer,
    #[error("more work waits for the device than it does")]
    Busy,
    /// The breaker is open.
    #[error("the device is left alone after failures: {0}")]
    LeftAlone(String),
}

/// How long a caller waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) deadline: Instant,
    /// Without any outcome of the call's.
    pub(crate) silence: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct PoolOptions {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) limits: SessionLimits,
    /// Failures in a row after which callers are refused.
    pub(crate) failures_max: u32,
    /// Between two attempts to reach a device that is away; doubles from the first to the longest.
    pub(crate) back_off: BackOff,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct BackOff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl PoolOptions {
    pub(crate) fn new(name: &str, kind: &'static str, limits: SessionLimits) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            limits,
            failures_max: 3,
            back_off: BackOff {
                first: Duration::from_millis(100),
                longest: Duration::from_secs(5),
            },
        }
    }

    pub(crate) const fn call(&self) -> Duration {
        Duration::from_millis(self.limits.call_ms)
    }
}

/// The sessions of one provider. Its threads end when it is dropped.
pub(crate) struct Pool<D: Device>(Arc<Inner<D>>);

struct Inner<D: Device> {
    device: D,
    options: PoolOptions,
    state: Mutex<State<D::Key>>,
    /// There is something to do for session threads, or no more.
    work: Condvar,
    /// A thread has left, or all shall.
    leaving: Condvar,
}

impl<D: Device> Pool<D> {
    /// Starts the threads, which open their sessions by themselves.
    pub(crate) fn start(device: D, options: PoolOptions) -> io::Result<Self> {
        let inner = Arc::new(Inner {
            state: Mutex::new(State::new(Breaker::new(options.failures_max, options.back_off))),
            device,
            options,
            work: Condvar::new(),
            leaving: Condvar::new(),
        });
        let pool = Self(inner);
        keeper::start(&pool.0)?;
        Ok(pool)
    }

    pub(crate) fn options(&self) -> &PoolOptions {
        &self.0.options
    }

    /// Outcomes in the order of the operations.
    pub(crate) fn perform(
        &self,
        key: &Arc<D::Key>,
        operations: Vec<Operation>,
        patience: Patience,
    ) -> Vec<Result<Output, DeviceFault>> {
        let count = operations.len();
        if Instant::now() >= patience.deadline {
            return all(count, &DeviceFault::NoAnswer);
        }
        let call = Arc::new(Call::new(count));
        {
            let mut state = self.0.lock();
            if let Some(fault) = state.refusal() {
                state.counters.refused += saturating(count);
                return all(count, &fault);
            }
            for (place, operation) in operations.into_iter().enumerate() {
                let (call, key) = (Arc::clone(&call), Arc::clone(key));
                state.queue(
                    Item {
                        call,
                        place,
                        key,
                        operation,
                    },
                    QUEUE_MAX,
                );
            }
        }
        self.0.work.notify_all();
        let waited = call.wait(patience);
        if waited.fell_silent {
            self.0.lock().fell_silent(patience.silence);
            self.0.work.notify_all();
        }
        waited.outcomes
    }

    /// Ends the sessions, and waits until those that are not stuck are closed.
    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        state.close();
        self.0.work.notify_all();
        self.0.leaving.notify_all();
        let waited = self.0.leaving.wait_timeout_while(state, LEAVING_LIMIT, |state| {
            let census = state.census();
            census.all > census.stuck
        });
        if waited.is_ok_and(|(_, waited)| waited.timed_out()) {
            tracing::warn!(
                provider = self.0.options.name,
                "session threads are left behind in a call"
            );
        }
    }

    /// Whether a secret was refused, so that this pool will never work again.
    pub(crate) fn is_refused(&self) -> bool {
        self.0.lock().refused.is_some()
    }

    pub(crate) fn state(&self) -> ProviderState {
        let (options, state) = (&self.0.options, self.0.lock());
        let threads = state.census();
        ProviderState {
            name: options.name.clone(),
            kind: options.kind,
            sessions: options.limits.sessions,
            sessions_open: threads.open,
            sessions_stuck: threads.stuck,
            is_left_alone: state.refusal().is_some(),
            counters: state.counters,
        }
    }
}

impl<D: Device> Inner<D> {
    fn lock(&self) -> MutexGuard<'_, State<D::Key>> {
        self.state.lock().expect("no thread panics while it holds the state")
    }
}

/// Asks the threads to leave and does not wait for them: the last owner may be a worker in the middle of its work.
impl<D: Device> Drop for Pool<D> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.0.state.lock() {
            state.close();
        }
        self.0.work.notify_all();
        self.0.leaving.notify_all();
    }
}

impl<D: Device> fmt::Debug for Pool<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({}, {})", self.0.options.name, self.0.options.kind)
    }
}

fn all(count: usize, fault: &DeviceFault) -> Vec<Result<Output, DeviceFault>> {
    (0..count).map(|_| Err(fault.clone())).collect()
}

fn saturating(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
