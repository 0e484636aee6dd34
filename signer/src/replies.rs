//! The answers of one stream on their way back, in batches of what is ready.
//!
//! ```text
//!   reader: room for n ──▶ work … workers: send_all ──▶ ready ──▶ stream of reply batches ──▶ room for n again
//! ```
//!
//! Room is taken before a piece of work is queued, so what one peer has outstanding is bounded and a worker never waits
//! for a peer: one that does not read its answers stops its own stream and nobody else's. Answers that a worker finishes
//! together wake the stream once. The stream ends when every place in it is answered or given up and its reader is gone.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use signer_protocol::{Answer, limits, wire};
use tokio::sync::Semaphore;
use tokio_stream::Stream;
use tonic::Status;

/// Replies of one stream that are outstanding or unread. A small part of the queue, so that one peer does not fill it
/// and have everybody else turned away.
pub(crate) const OUTSTANDING_MAX: usize = 1024;
/// A batch is closed by the reply that brings it here. Replies are smaller than what one may hold less this.
const BATCH_BYTES: usize = 4 << 20;
/// The largest reply: tokens of two generations, with their lengths on the wire.
const REPLY_BYTES_MAX: usize = 2 * limits::PLAINTEXTS_MAX * TOKEN_WIRE_BYTES;
const TOKEN_WIRE_BYTES: usize = 34;
const _: () = assert!(BATCH_BYTES + REPLY_BYTES_MAX < limits::BATCH_BYTES_MAX);

#[derive(Debug)]
struct Line {
    state: Mutex<State>,
    room: Semaphore,
    /// Bytes of work that is not answered yet.
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<wire::Reply>,
    waker: Option<Waker>,
    ended: bool,
    /// What the stream ends with, when its work could not be read on.
    fault: Option<Status>,
}

/// The sending side; one handle for the reader and one in every place. The last to go ends the stream.
#[derive(Debug, Clone)]
pub(crate) struct Replies(Arc<Sending>);

#[derive(Debug)]
struct Sending(Arc<Line>);

/// Where the answer to one piece of work goes.
#[derive(Debug)]
pub(crate) struct ReplySlot {
    number: u64,
    line: Replies,
    held: Option<Held>,
}

/// Bytes of one piece of work, until it is answered or given up.
#[derive(Debug)]
struct Held {
    line: Arc<Line>,
    bytes: usize,
}

/// The stream that the gRPC server sends.
#[derive(Debug)]
pub(crate) struct ReplyStream(Arc<Line>);

/// The peer is gone; nobody reads the answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PeerGone;

pub(crate) fn line() -> (Replies, ReplyStream) {
    let line = Arc::new(Line {
        state: Mutex::default(),
        room: Semaphore::new(OUTSTANDING_MAX),
        bytes: AtomicUsize::new(0),
    });
    (Replies(Arc::new(Sending(Arc::clone(&line)))), ReplyStream(line))
}

impl Line {
    /// What is behind the lock is whole between any two statements.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replies {
    /// Waits until so many more pieces of work may be outstanding, at most [`OUTSTANDING_MAX`].
    pub(crate) async fn room(&self, places: usize) -> Result<(), PeerGone> {
        let places = u32::try_from(places).map_err(|_| PeerGone)?;
        let room = self.0.0.room.acquire_many(places).await.map_err(|_| PeerGone)?;
        room.forget();
        Ok(())
    }

    /// What was asked so far is still answered; then the peer is told why nothing more was read.
    pub(crate) fn end_with(&self, fault: Status) {
        self.0.0.state().fault = Some(fault);
    }

    /// A place for which there is room.
    pub(crate) fn slot(&self, number: u64) -> ReplySlot {
        ReplySlot {
            number,
            line: self.clone(),
            held: None,
        }
    }

    fn send(&self, replies: &mut Vec<wire::Reply>) {
        let mut state = self.0.0.state();
        state.ready.extend(replies.drain(..));
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl ReplySlot {
    /// Counts the bytes of its work to the stream's share. The place comes back as it was when they are more than is
    /// left of it; the first piece of work may be of any size.
    pub(crate) fn holding(mut self, bytes: usize, share: usize) -> Result<Self, Self> {
        let line = Arc::clone(&self.line.0.0);
        let fits = |before: usize| Some(before + bytes).filter(|held| before == 0 || *held <= share);
        if line
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_err()
        {
            return Err(self);
        }
        self.held = Some(Held { line, bytes });
        Ok(self)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.line.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Sends answers that are ready together; those of one stream that stand side by side go at once.
pub(crate) fn send_all(answers: impl IntoIterator<Item = (ReplySlot, Answer)>) {
    let mut together: Vec<wire::Reply> = Vec::new();
    let mut line: Option<Replies> = None;
    for (slot, answer) in answers {
        if let Some(before) = line.take_if(|before| !Arc::ptr_eq(&before.0, &slot.line.0)) {
            before.send(&mut together);
        }
        together.push(answer.into_reply(slot.number));
        line = Some(slot.line);
    }
    if let Some(line) = line {
        line.send(&mut together);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for ReplyStream {
    fn drop(&mut self) {
        self.0.room.close();
    }
}

impl Stream for ReplyStream {
    type Item = Result<wire::ReplyBatch, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.state();
        if state.ready.is_empty() {
            if state.ended {
                return Poll::Ready(state.fault.take().map(Err));
            }
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = batch_len(&state.ready);
        let items: Vec<wire::Reply> = state.ready.drain(..count).collect();
        drop(state);
        self.0.room.add_permits(items.len());
        Poll::Ready(Some(Ok(wire::ReplyBatch { items })))
    }
}

fn batch_len(ready: &VecDeque<wire::Reply>) -> usize {
    let mut bytes = 0;
    let fitting = ready.iter().take(limits::BATCH_ITEMS_MAX).take_while(|reply| {
        let fits = bytes < BATCH_BYTES;
        bytes += token_bytes(reply);
        fits
    });
    fitting.count()
}

/// Only tokens make a reply long; what else there is fits 64 times into the rest of a batch.
fn token_bytes(reply: &wire::Reply) -> usize {
    match &reply.what {
        Some(wire::reply::What::Tokens(tokens)) => {
            TOKEN_WIRE_BYTES * (tokens.tokens.len() + tokens.other_generation.len())
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use signer_protocol::{Failure, Tokens};
    use tokio_stream::StreamExt;

    use super::*;

    fn busy() -> Answer {
        Answer::Failed(Failure::Busy, String::new())
    }

    async fn numbers(stream: &mut ReplyStream) -> Vec<u64> {
        let batch = stream.next().await.unwrap().unwrap();
        batch.items.into_iter().map(|reply| reply.number).collect()
    }

    #[tokio::test]
    async fn answers_that_are_ready_go_together_to_their_own_streams() {
        let ((first, mut first_stream), (second, mut second_stream)) = (line(), line());
        send_all([
            (first.slot(1), busy()),
            (first.slot(2), busy()),
            (second.slot(3), busy()),
            (first.slot(4), busy()),
        ]);
        assert_eq!(numbers(&mut first_stream).await, [1, 2, 4]);
        assert_eq!(numbers(&mut second_stream).await, [3]);
    }

    #[tokio::test]
    async fn the_stream_ends_after_the_last_answer() {
        let (replies, mut stream) = line();
        let slot = replies.slot(1);
        drop(replies);
        let reading = tokio::spawn(async move {
            let batch = numbers(&mut stream).await;
            (batch, stream.next().await.is_none())
        });
        send_all([(slot, busy())]);
        assert_eq!(reading.await.unwrap(), (vec![1], true));
    }

    #[tokio::test]
    async fn room_is_bounded_and_comes_back_when_answers_are_read() {
        let (replies, mut stream) = line();
        replies.room(OUTSTANDING_MAX).await.unwrap();
        let mut waiting = Box::pin(replies.room(1));
        assert_eq!(ready_now(&mut waiting), None);
        send_all([(replies.slot(1), busy())]);
        assert_eq!(
            ready_now(&mut waiting),
            None,
            "an answer that is unread takes its place"
        );
        assert_eq!(numbers(&mut stream).await, [1]);
        assert_eq!(waiting.await, Ok(()));
        drop(stream);
        assert_eq!(replies.room(1).await, Err(PeerGone));
    }

    #[tokio::test]
    async fn a_stream_holds_no_more_bytes_than_its_share() {
        let (replies, mut stream) = line();
        let first = replies.slot(1).holding(99, 10).unwrap();
        let second = replies.slot(2).holding(1, 10).unwrap_err();
        send_all([(first, busy()), (second, busy())]);
        assert_eq!(numbers(&mut stream).await, [1, 2]);
        let held = replies.slot(3).holding(6, 10).unwrap();
        let more = replies.slot(4).holding(4, 10).unwrap();
        assert!(replies.slot(5).holding(1, 10).is_err());
        drop(held);
        assert!(replies.slot(6).holding(6, 10).is_ok());
        drop(more);
    }

    /// What a future that is looked at once has to give.
    fn ready_now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(future).poll(&mut context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_batch_is_bounded_in_items_and_bytes() {
        let (replies, mut stream) = line();
        send_all((0..100).map(|number| (replies.slot(number), busy())));
        assert_eq!(numbers(&mut stream).await.len(), limits::BATCH_ITEMS_MAX);
        assert_eq!(numbers(&mut stream).await.len(), 100 - limits::BATCH_ITEMS_MAX);
        let tokens = || Tokens {
            tokens: vec![[0; 32]; limits::PLAINTEXTS_MAX],
            other_generation: vec![[0; 32]; limits::PLAINTEXTS_MAX],
        };
        send_all((0..40).map(|number| (replies.slot(number), Answer::Tokens(tokens()))));
        let full = BATCH_BYTES.div_ceil(REPLY_BYTES_MAX);
        assert_eq!(numbers(&mut stream).await.len(), full);
    }
}
