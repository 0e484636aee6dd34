//! The life of one session thread: open, serve, and when the session is lost, open again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::{Item, Next, Phase};
use super::{Device, DeviceFault, Inner, Session};

/// Why a session is not served any longer.
enum End<K> {
    Leave,
    /// With what it was doing, if that is to be done on a fresh session.
    Lost(Option<Item<K>>),
}

/// Takes the thread off the list however it ends.
struct Leaving<'a, D: Device> {
    inner: &'a Inner<D>,
    number: u64,
}

impl<D: Device> Drop for Leaving<'_, D> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.inner.state.lock() {
            state.threads.remove(&self.number);
        }
        self.inner.leaving.notify_all();
    }
}

pub(super) fn run<D: Device>(inner: &Arc<Inner<D>>, number: u64) {
    let _leaving = Leaving { inner, number };
    let mut pause = inner.options.back_off.first;
    let mut carried = None;
    loop {
        if !inner.enter(number, Phase::Opening) {
            return give_back(carried, "the provider is closed");
        }
        match inner.device.open() {
            Ok(mut session) => {
                inner.opened();
                let mut served = false;
                match inner.serve(number, &mut session, carried.take(), &mut served) {
                    End::Leave => return,
                    End::Lost(item) => carried = item,
                }
                if served || carried.is_some() {
                    pause = inner.options.back_off.first;
                    continue;
                }
            }
            Err(fault) => {
                give_back(carried.take(), &fault.to_string());
                inner.not_opened(number, fault);
            }
        }
        if !inner.pause(number, pause) {
            return;
        }
        pause = inner.options.back_off.longest.min(pause * 2);
    }
}

fn give_back<K>(carried: Option<Item<K>>, reason: &str) {
    if let Some(item) = carried {
        item.finish(Err(DeviceFault::Away(reason.to_owned())));
    }
}

impl<D: Device> Inner<D> {
    fn enter(&self, number: u64, phase: Phase) -> bool {
        self.lock().enter(number, phase, self.options.limits.sessions)
    }

    fn opened(&self) {
        let mut state = self.lock();
        state.counters.opened += 1;
        state.breaker.hasten(Instant::now());
    }

    fn not_opened(&self, number: u64, fault: DeviceFault) {
        let provider = &self.options.name;
        tracing::warn!(provider, %fault, "no session with the device");
        let mut state = self.lock();
        if let DeviceFault::Unusable(reason) = fault {
            state.refuse_for_good(reason);
            self.leaving.notify_all();
        } else {
            state.enter(number, Phase::Pausing, self.options.limits.sessions);
            let census = state.census();
            if census.open + census.opening == 0 {
                state.leave_alone(&fault.to_string());
            }
        }
        drop(state);
        self.work.notify_all();
    }

    /// Until the pause is over. False: the thread shall leave.
    fn pause(&self, number: u64, pause: Duration) -> bool {
        if !self.enter(number, Phase::Pausing) {
            return false;
        }
        let waited = self
            .leaving
            .wait_timeout_while(self.lock(), pause, |state| !state.closing && state.refused.is_none());
        drop(waited);
        true
    }

    fn serve(
        &self,
        number: u64,
        session: &mut D::Session,
        mut carried: Option<Item<D::Key>>,
        served: &mut bool,
    ) -> End<D::Key> {
        loop {
            let is_second_try = carried.is_some();
            let item = match carried.take().map_or_else(|| self.next(number), Next::Perform) {
                Next::Leave => return End::Leave,
                Next::Wait(_) => continue,
                Next::Probe => {
                    if !self.probe(session) {
                        return End::Lost(None);
                    }
                    continue;
                }
                Next::Perform(item) => item,
            };
            if is_second_try && !self.enter(number, Phase::Asking) {
                give_back(Some(item), "the provider is closed");
                return End::Leave;
            }
            let mut outcome = session.perform(&item.key, &item.operation);
            if let Err(DeviceFault::Failed(reason)) = &outcome
                && session.probe().is_err()
            {
                outcome = Err(DeviceFault::Away(reason.clone()));
            }
            let lost = matches!(outcome, Err(DeviceFault::Away(_)));
            *served |= outcome.is_ok();
            if lost {
                self.lock().counters.lost += 1;
                if !is_second_try {
                    return End::Lost(Some(item));
                }
            }
            self.lock().note(&outcome);
            item.finish(outcome);
            if lost {
                return End::Lost(None);
            }
        }
    }

    /// Waits for something to do.
    fn next(&self, number: u64) -> Next<D::Key> {
        let mut state = self.lock();
        loop {
            let until = match state.next(number, self.options.limits.sessions) {
                Next::Wait(until) => until,
                next => return next,
            };
            let limit = until.map_or(self.options.back_off.longest, |until| {
                until.saturating_duration_since(Instant::now())
            });
            let waited = self.work.wait_timeout(state, limit);
            state = waited.expect("no thread panics while it holds the state").0;
        }
    }

    fn probe(&self, session: &mut D::Session) -> bool {
        let probed = session.probe();
        let mut state = self.lock();
        if let Err(fault) = probed {
            let provider = &self.options.name;
            tracing::warn!(provider, %fault, "the device does not answer a probe");
            state.counters.lost += 1;
            return false;
        }
        state.breaker.probed();
        true
    }
}
