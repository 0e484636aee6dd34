//! How many connections an endpoint keeps, and which one gives way when one more comes.
//!
//! Peers that only connect must neither exhaust the process nor keep others out: when every place is taken, the
//! connection that moved nothing worth mentioning for longest gives its place to the newcomer, provided that was long
//! enough ago; while all are at work the newcomer is refused, with a reason it can read. A peer that gives way connects
//! again when it has something to say.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tonic::transport::server::Connected;

/// Connections of one endpoint.
pub(crate) const CONNECTIONS_MAX: usize = 256;
/// A connection that moved something within this time keeps its place.
const QUIET_LEAST: Duration = Duration::from_secs(1);
/// What counts as something: a byte now and then does not hold a place.
const MOVED_BYTES: u64 = 512;
/// How often what was refused and what gave way is logged.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// HTTP/2: an empty SETTINGS frame, then GOAWAY (17 bytes and the text) with `ENHANCE_YOUR_CALM`.
const REFUSAL: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x1c\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo many connections";

/// The connections of one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Crowd(Arc<Mutex<Places>>);

#[derive(Debug)]
struct Places {
    max: usize,
    next: u64,
    taken: HashMap<u64, Arc<Place>>,
    turned_away: u64,
    gave_way: u64,
    logged_at: Option<Instant>,
}

/// One connection's place.
#[derive(Debug)]
struct Place {
    began: Instant,
    /// Milliseconds after it began.
    moved_after_ms: AtomicU64,
    /// Bytes since then.
    moved_since: AtomicU64,
    must_go: AtomicBool,
    reader: AtomicWaker,
}

/// A connection that has a place. When it must give way, reading from it fails.
#[derive(Debug)]
pub(crate) struct Placed<S> {
    stream: S,
    place: Arc<Place>,
    number: u64,
    crowd: Crowd,
}

/// A connection that has no place.
pub(crate) trait Refuse {
    /// Says why, if that can be said without waiting, and closes it.
    fn refuse(self);
}

impl Refuse for UnixStream {
    fn refuse(self) {
        let _said_if_it_can_be = self.try_write(REFUSAL);
    }
}

impl Refuse for TcpStream {
    /// Before the handshake there is nothing that could be said.
    fn refuse(self) {}
}

impl Crowd {
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Mutex::new(Places {
            max,
            next: 0,
            taken: HashMap::with_capacity(max),
            turned_away: 0,
            gave_way: 0,
            logged_at: None,
        })))
    }

    /// A place for a newcomer, or none.
    pub(crate) fn admit<S: Refuse>(&self, stream: S) -> Option<Placed<S>> {
        let taken = self.places().take(Instant::now());
        let Some((number, place)) = taken else {
            stream.refuse();
            return None;
        };
        Some(Placed {
            stream,
            place,
            number,
            crowd: self.clone(),
        })
    }

    /// Whole between any two statements, so a poisoned lock is as good.
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn take(&mut self, now: Instant) -> Option<(u64, Arc<Place>)> {
        if self.taken.len() >= self.max && !self.make_room(now) {
            self.turned_away += 1;
            self.log(now);
            return None;
        }
        let place = Arc::new(Place {
            began: now,
            moved_after_ms: AtomicU64::new(0),
            moved_since: AtomicU64::new(0),
            must_go: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        });
        let number = self.next;
        self.next += 1;
        self.taken.insert(number, Arc::clone(&place));
        Some((number, place))
    }

    fn make_room(&mut self, now: Instant) -> bool {
        let quietest = self.taken.iter().min_by_key(|(_, place)| place.moved_at());
        let Some((number, _)) =
            quietest.filter(|(_, place)| now.saturating_duration_since(place.moved_at()) > QUIET_LEAST)
        else {
            return false;
        };
        let number = *number;
        if let Some(place) = self.taken.remove(&number) {
            place.must_go.store(true, Ordering::Release);
            place.reader.wake();
        }
        self.gave_way += 1;
        self.log(now);
        true
    }

    fn log(&mut self, now: Instant) {
        let is_due = |at: Instant| now.saturating_duration_since(at) >= LOG_EVERY;
        if self.logged_at.is_none_or(is_due) {
            self.logged_at = Some(now);
            let (max, turned_away, gave_way) = (self.max, self.turned_away, self.gave_way);
            tracing::warn!(max, turned_away, gave_way, "every connection is taken");
        }
    }
}

impl Place {
    fn moved_at(&self) -> Instant {
        self.began + Duration::from_millis(self.moved_after_ms.load(Ordering::Relaxed))
    }

    fn note(&self, bytes: usize, now: Instant) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if self
            .moved_since
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes)
            >= MOVED_BYTES
        {
            self.moved_since.store(0, Ordering::Relaxed);
            let after = now.saturating_duration_since(self.began).as_millis();
            self.moved_after_ms
                .store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}

impl<S> Drop for Placed<S> {
    fn drop(&mut self) {
        self.crowd.places().taken.remove(&self.number);
    }
}

impl<S: Connected> Connected for Placed<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> S::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Placed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.place.reader.register(context.waker());
        if self.place.must_go.load(Ordering::Acquire) {
            let gone = io::Error::new(io::ErrorKind::ConnectionAborted, "the connection gave way to another");
            return Poll::Ready(Err(gone));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            self.place.note(bytes, Instant::now());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Placed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn the_refusal_is_two_whole_frames() {
        let (settings, goaway) = REFUSAL.split_at(9);
        assert_eq!(settings, [0, 0, 0, 4, 0, 0, 0, 0, 0]);
        let length = u32::from_be_bytes([0, goaway[0], goaway[1], goaway[2]]);
        assert_eq!(usize::try_from(length).unwrap(), goaway.len() - 9);
    }

    #[test]
    fn who_gets_a_place_when_all_are_taken() {
        let crowd = Crowd::new(3);
        let began = Instant::now();
        let places: Vec<_> = (0..3).map(|_| crowd.places().take(began).unwrap()).collect();
        let later = began + LONG;
        // the first moves a message, the second a byte, the third nothing
        places[0].1.note(600, later);
        places[1].1.note(1, later);
        assert!(crowd.places().take(began).is_none(), "nobody was quiet for long");
        assert!(crowd.places().take(later).is_some());
        assert!(crowd.places().take(later).is_some());
        assert!(crowd.places().take(later).is_none(), "the rest is at work or new");
        let went: Vec<bool> = places
            .iter()
            .map(|(_, place)| place.must_go.load(Ordering::Relaxed))
            .collect();
        assert_eq!(went, [false, true, true]);
    }

    #[tokio::test]
    async fn a_connection_that_must_go_ends_and_leaves_its_place() {
        use tokio::io::AsyncReadExt as _;
        let crowd = Crowd::new(1);
        let (here, _there) = UnixStream::pair().unwrap();
        let mut placed = crowd.admit(here).unwrap();
        let (second, mut refused) = UnixStream::pair().unwrap();
        assert!(crowd.admit(second).is_none());
        let mut said = Vec::new();
        refused.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, REFUSAL);
        let reading = tokio::spawn(async move { placed.read_u8().await.map_err(|fault| fault.kind()) });
        tokio::task::yield_now().await;
        assert!(crowd.places().take(Instant::now() + LONG).is_some());
        assert_eq!(reading.await.unwrap(), Err(io::ErrorKind::ConnectionAborted));
    }
}
