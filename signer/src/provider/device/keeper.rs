//! The one thread of a pool that never asks the device: it sees which session threads are stuck and starts others in
//! their place, at most as many again as there are sessions. A stuck thread that comes back goes on where there is
//! room, and leaves where there is none.

use std::io;
use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::state::{Phase, State};
use super::{Device, Inner, session_thread};

/// Logging in at a device over a network may take its time.
const OPENING_LIMIT: Duration = Duration::from_secs(10);
const TICK_SHORTEST: Duration = Duration::from_millis(5);
const TICK_LONGEST: Duration = Duration::from_millis(250);

/// Starts the session threads, and the keeper.
pub(super) fn start<D: Device>(inner: &Arc<Inner<D>>) -> io::Result<()> {
    for _ in 0..inner.options.limits.sessions {
        start_thread(inner)?;
    }
    let keeper = Arc::clone(inner);
    Builder::new()
        .name(format!("{}-keeper", inner.options.name))
        .spawn(move || keep(&keeper))?;
    Ok(())
}

fn start_thread<D: Device>(inner: &Arc<Inner<D>>) -> io::Result<()> {
    let number = inner.lock().add_thread(Instant::now());
    let session = Arc::clone(inner);
    let spawned = Builder::new()
        .name(format!("{}-{number}", inner.options.name))
        .spawn(move || session_thread::run(&session, number));
    if spawned.is_err() {
        inner.lock().threads.remove(&number);
    }
    spawned.map(drop)
}

fn keep<D: Device>(inner: &Arc<Inner<D>>) {
    let tick = (inner.options.call() / 4).clamp(TICK_SHORTEST, TICK_LONGEST);
    loop {
        let waited = inner
            .leaving
            .wait_timeout_while(inner.lock(), tick, |state| !state.closing);
        let mut state = waited.expect("no thread panics while it holds the state").0;
        if state.closing || state.refused.is_some() {
            return;
        }
        mark_stuck(inner, &mut state);
        let census = state.census();
        drop(state);
        let sessions = inner.options.limits.sessions;
        let missing = sessions.saturating_sub(census.all - census.stuck);
        for _ in 0..missing.min((2 * sessions).saturating_sub(census.all)) {
            if let Err(error) = start_thread(inner) {
                tracing::warn!(provider = inner.options.name, %error, "no thread for a session");
            }
        }
    }
}

fn mark_stuck<D: Device>(inner: &Inner<D>, state: &mut State<D::Key>) {
    let now = Instant::now();
    let mut stalled = 0;
    for thread in state.threads.values_mut() {
        let limit = match thread.phase {
            Phase::Opening => OPENING_LIMIT.max(inner.options.call()),
            Phase::Asking => inner.options.call(),
            Phase::Pausing | Phase::Idle => continue,
        };
        if !thread.stuck && now >= thread.since + limit {
            thread.stuck = true;
            stalled += 1;
        }
    }
    for _ in 0..stalled {
        tracing::warn!(provider = inner.options.name, "a session is stuck in a call");
        state.counters.stalled += 1;
        state.failed("calls stall");
    }
    let census = state.census();
    if stalled > 0 && census.stuck == census.all {
        state.leave_alone("calls stall");
    }
}
