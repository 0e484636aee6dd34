//! The batched exchange: one gRPC method that streams batches both ways carries every call of the live path, so the
//! price of an RPC (headers, flow control, wake-ups) is paid once for all that is ready at a moment.
//!
//! ```text
//!  callers ──call()──▶ queue ──▶ driver ──WorkBatch──▶ stream ──▶ process
//!     ▲                            │                                │
//!     └────────── by number ◀──────┴──────────ReplyBatch◀───────────┘
//! ```
//!
//! A batch is what is ready, never what is waited for: a lone call leaves at once.
//!
//! What callers can rely on: a call that ends [`CallFault::NotSent`] never left this process. Anything that may have
//! left and was not answered ends [`CallFault::Unknown`], whether by deadline or by loss of the stream.
//!
//! Server side: read work until the stream ends *or the stop is requested*, give each piece a clone of the sender that
//! [`reply_batches`] returns, and drop your own: the reply stream then ends by itself after the last reply, which is
//! what lets the endpoint drain.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// One gRPC method that streams batches both ways.
pub trait Exchange: Send + Sync + 'static {
    type Work: Send + 'static;
    type Reply: Send + 'static;
    type WorkBatch: Send + 'static;
    type ReplyBatch: Send + 'static;

    fn pack(&self, items: Vec<Numbered<Self::Work>>) -> Self::WorkBatch;

    /// `None` for a reply that this side cannot read.
    fn unpack(&self, batch: Self::ReplyBatch) -> Vec<(u64, Option<Self::Reply>)>;

    fn open(
        &self,
        work: ReceiverStream<Self::WorkBatch>,
    ) -> impl Future<Output = Result<Streaming<Self::ReplyBatch>, Status>> + Send;
}

/// Work as it goes on the wire.
#[derive(Debug)]
pub struct Numbered<W> {
    /// Unique within the stream.
    pub number: u64,
    /// Time left to the caller, milliseconds.
    pub budget_ms: u32,
    pub work: W,
}

#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls that wait to be sent.
    pub queued_max: usize,
    /// Pieces of work in one batch.
    pub batch_max: usize,
    /// Batches between the driver and the socket.
    pub batches_ahead_max: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            queued_max: 4096,
            batch_max: 64,
            batches_ahead_max: 4,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallFault {
    /// Definite: the other side has not seen it.
    #[error("the call was not sent: {0}")]
    NotSent(Reason),
    /// The other side may have done it.
    #[error("the call was sent and not answered: {0}")]
    Unknown(Reason),
}

/// What kept a call from its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the deadline passed")]
    Deadline,
    #[error("the other process cannot be reached")]
    Unreachable,
    #[error("the stream was lost")]
    StreamLost,
    #[error("the answer could not be read")]
    Unreadable,
    #[error("the client has ended")]
    ClientEnded,
}

/// The client side of an exchange. Cheap to clone; the connection lives as long as any clone.
#[derive(Debug)]
pub struct Calls<E: Exchange> {
    queue: mpsc::Sender<Call<E>>,
    connected: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Call<E: Exchange> {
    work: E::Work,
    deadline: Instant,
    /// Set once, by the driver that sends the call or by the caller that gives it up: whoever is first knows for
    /// certain whether it left.
    settled: Arc<AtomicBool>,
    answer: oneshot::Sender<Result<E::Reply, CallFault>>,
}

const RECONNECT_FIRST: Duration = Duration::from_millis(20);
const RECONNECT_MOST: Duration = Duration::from_secs(1);
/// How long opening the stream may take before it is tried anew.
const OPEN_LIMIT: Duration = Duration::from_secs(2);
/// How often answers nobody waits for any more are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

impl<E: Exchange> Clone for Calls<E> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            connected: Arc::clone(&self.connected),
        }
    }
}

impl<E: Exchange> Calls<E> {
    /// Starts the driver task; call inside a tokio runtime.
    pub fn start(exchange: E, limits: CallLimits) -> Self {
        let (queue, calls) = mpsc::channel(limits.queued_max);
        let connected = Arc::new(AtomicBool::new(false));
        let driver = Driver {
            exchange,
            calls,
            limits,
            connected: Arc::clone(&connected),
            next_number: 1,
        };
        tokio::spawn(driver.run());
        Self { queue, connected }
    }

    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// One piece of work. Ends by the deadline whatever happens.
    pub async fn call(&self, work: E::Work, deadline: Instant) -> Result<E::Reply, CallFault> {
        let begun = tokio::time::timeout_at(deadline, self.begin(work, deadline));
        let Ok(begun) = begun.await else {
            return Err(CallFault::NotSent(Reason::Deadline));
        };
        let mut begun = begun?;
        match tokio::time::timeout_at(deadline, begun.answer()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(begun.give_up(Reason::Deadline)),
        }
    }

    /// Puts one piece of work into the queue, and waits only while that is full. The time is the caller's to keep; the
    /// deadline is for the other side, and keeps the work from being sent after it.
    pub async fn begin(&self, work: E::Work, deadline: Instant) -> Result<Begun<E::Reply>, CallFault> {
        let (answer, answered) = oneshot::channel();
        let settled = Arc::new(AtomicBool::new(false));
        let call = Call {
            work,
            deadline,
            settled: Arc::clone(&settled),
            answer,
        };
        match self.queue.send(call).await {
            Ok(()) => Ok(Begun { settled, answered }),
            Err(_) => Err(CallFault::NotSent(Reason::ClientEnded)),
        }
    }
}

/// A call in the queue or on its way. Dropped before it was sent, it is not sent any more.
#[derive(Debug)]
pub struct Begun<R> {
    settled: Arc<AtomicBool>,
    answered: oneshot::Receiver<Result<R, CallFault>>,
}

impl<R> Begun<R> {
    /// May be dropped half-way and asked for again, until it was there once.
    pub async fn answer(&mut self) -> Result<R, CallFault> {
        match (&mut self.answered).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.give_up(Reason::StreamLost)),
        }
    }

    /// Ends it without an answer and tells whether it had left.
    pub fn give_up(&mut self, reason: Reason) -> CallFault {
        if self.settled.swap(true, Ordering::AcqRel) {
            CallFault::Unknown(reason)
        } else {
            CallFault::NotSent(reason)
        }
    }
}

impl<R> Drop for Begun<R> {
    fn drop(&mut self) {
        self.settled.store(true, Ordering::Release);
    }
}

type Pending<R> = HashMap<u64, (Instant, oneshot::Sender<Result<R, CallFault>>)>;

struct Driver<E: Exchange> {
    exchange: E,
    calls: mpsc::Receiver<Call<E>>,
    limits: CallLimits,
    connected: Arc<AtomicBool>,
    next_number: u64,
}

enum Ended {
    /// Every client handle is gone.
    Abandoned,
    StreamLost,
}

impl<E: Exchange> Driver<E> {
    async fn run(mut self) {
        let mut pause = RECONNECT_FIRST;
        loop {
            let (batches, outgoing) = mpsc::channel(self.limits.batches_ahead_max);
            let opening = tokio::time::timeout(OPEN_LIMIT, self.exchange.open(ReceiverStream::new(outgoing)));
            if let Ok(Ok(replies)) = opening.await {
                pause = RECONNECT_FIRST;
                self.connected.store(true, Ordering::Relaxed);
                let ended = self.exchange_batches(&batches, replies).await;
                self.connected.store(false, Ordering::Relaxed);
                if matches!(ended, Ended::Abandoned) {
                    return;
                }
                // a process that is stopping takes streams and ends them at once; do not spin on it
                tokio::time::sleep(RECONNECT_FIRST).await;
                continue;
            }
            if matches!(self.refuse_queued(), Some(Ended::Abandoned)) {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RECONNECT_MOST);
        }
    }

    /// After a try to connect that failed: callers learn at once, not at their deadline.
    fn refuse_queued(&mut self) -> Option<Ended> {
        loop {
            match self.calls.try_recv() {
                Ok(call) => {
                    call.settled.store(true, Ordering::Release);
                    let refusal = CallFault::NotSent(Reason::Unreachable);
                    let _caller_has_gone = call.answer.send(Err(refusal));
                }
                Err(mpsc::error::TryRecvError::Empty) => return None,
                Err(mpsc::error::TryRecvError::Disconnected) => return Some(Ended::Abandoned),
            }
        }
    }

    /// The life of one stream. Every call still pending when it ends is answered `Unknown` by dropping its sender.
    async fn exchange_batches(
        &mut self,
        batches: &mpsc::Sender<E::WorkBatch>,
        mut replies: Streaming<E::ReplyBatch>,
    ) -> Ended {
        let Self {
            exchange,
            calls,
            limits,
            next_number,
            ..
        } = self;
        let mut pending: Pending<E::Reply> = HashMap::new();
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        let mut taken = Vec::new();
        loop {
            // May be dropped at any await without loss, so replies are read while this waits.
            let ready_calls = async {
                let room = batches.reserve().await.ok()?;
                if taken.is_empty() {
                    take_ready(calls, &mut taken, limits.batch_max).await;
                }
                Some((room, std::mem::take(&mut taken)))
            };
            tokio::select! {
                reply = replies.message() => match reply {
                    Ok(Some(batch)) => answer_all(&mut pending, exchange.unpack(batch)),
                    Ok(None) | Err(_) => return Ended::StreamLost,
                },
                ready = ready_calls => match ready {
                    None => return Ended::StreamLost,
                    Some((_, taken)) if taken.is_empty() => return Ended::Abandoned,
                    Some((room, taken)) => {
                        let items = number_all(&mut pending, taken, next_number);
                        if !items.is_empty() {
                            room.send(exchange.pack(items));
                        }
                    }
                },
                _ = sweep.tick() => {
                    let now = Instant::now();
                    pending.retain(|_, (deadline, answer)| *deadline > now && !answer.is_closed());
                }
            }
        }
    }
}

/// Takes what is ready and, once whatever can run has run, what that made ready: where much is under way a batch carries
/// more for it, where nothing is it leaves at once. Dropped half-way, what was taken stays in `taken`.
async fn take_ready<T>(queue: &mut mpsc::Receiver<T>, taken: &mut Vec<T>, count_max: usize) {
    if queue.recv_many(taken, count_max).await == 0 || taken.len() == count_max {
        return;
    }
    tokio::task::yield_now().await;
    while taken.len() < count_max
        && let Ok(next) = queue.try_recv()
    {
        taken.push(next);
    }
}

fn number_all<E: Exchange>(
    pending: &mut Pending<E::Reply>,
    taken: Vec<Call<E>>,
    next_number: &mut u64,
) -> Vec<Numbered<E::Work>> {
    let now = Instant::now();
    let mut items = Vec::with_capacity(taken.len());
    for Call {
        work,
        deadline,
        settled,
        answer,
    } in taken
    {
        let left = deadline.saturating_duration_since(now);
        // given up by its caller, who finds that it was not sent
        if settled.swap(true, Ordering::AcqRel) {
            continue;
        }
        if left.is_zero() {
            let _caller_has_gone = answer.send(Err(CallFault::NotSent(Reason::Deadline)));
            continue;
        }
        let number = *next_number;
        *next_number = next_number.wrapping_add(1);
        pending.insert(number, (deadline, answer));
        items.push(Numbered {
            number,
            budget_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
            work,
        });
    }
    items
}

fn answer_all<R>(pending: &mut Pending<R>, replies: Vec<(u64, Option<R>)>) {
    for (number, reply) in replies {
        let Some((_, answer)) = pending.remove(&number) else {
            continue;
        };
        let outcome = reply.ok_or(CallFault::Unknown(Reason::Unreadable));
        let _caller_has_gone = answer.send(outcome);
    }
}

/// Server side: a sender to hand to whoever works, and the stream of reply batches made of what is ready.
pub fn reply_batches<R, B>(
    capacity: usize,
    batch_max: usize,
    pack: fn(Vec<R>) -> B,
) -> (mpsc::Sender<R>, impl Stream<Item = Result<B, Status>> + Send + 'static)
where
    R: Send + 'static,
    B: Send + 'static,
{
    let (sender, receiver) = mpsc::channel(capacity);
    let stream = futures::stream::unfold(receiver, move |mut receiver: mpsc::Receiver<R>| async move {
        let mut ready = Vec::new();
        take_ready(&mut receiver, &mut ready, batch_max).await;
        (!ready.is_empty()).then(|| (Ok(pack(ready)), receiver))
    });
    (sender, stream)
}
