//! Which signer gets a call, when a second one is asked as well, and which one gets none for a while. Decisions only:
//! from events and the time to choices. No task, no socket, no clock of its own.
//!
//! Invariants: a call goes to no signer twice · at least one signer is never ejected · besides the reserve, at most one
//! call in ten is hedged.

use std::time::Duration;

use tokio::time::Instant;

use super::member::{Ending, Member, Standing};

/// Signers one pool may know.
pub const MEMBERS_MAX: usize = 16;
/// Signers one call is given to at most: a call that nobody can do does not go round the whole pool.
const TRIES_MAX: u32 = 3;
/// Every call adds one; a hedge costs so many.
const HEDGE_PRICE: u32 = 10;
/// Hedges that may be made at once after a quiet time.
pub(super) const HEDGE_RESERVE: u32 = 32;
const CREDIT_MAX: u32 = HEDGE_PRICE * HEDGE_RESERVE;
const HEDGE_AFTER_LEAST: Duration = Duration::from_millis(5);
const HEDGE_AFTER_MOST: Duration = Duration::from_millis(200);
/// While nothing is known of the latency.
const HEDGE_AFTER_UNKNOWN: Duration = Duration::from_millis(50);

const _: () = assert!(MEMBERS_MAX <= 16, "Tried has 16 bits");
const _: () = assert!(HEDGE_AFTER_LEAST.as_millis() < HEDGE_AFTER_MOST.as_millis());

/// A place in the list of signers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) usize);

/// The signers one call was given to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tried(u16);

impl Tried {
    pub(super) const fn has(self, place: Place) -> bool {
        self.0 & (1 << place.0) != 0
    }

    const fn may_try_more(self) -> bool {
        self.0.count_ones() < TRIES_MAX
    }

    const fn add(&mut self, place: Place) {
        self.0 |= 1 << place.0;
    }
}

/// Why a call is given to a signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    First,
    /// Another signer did not do it.
    Retry,
    /// Another signer has it and is slow.
    Hedge,
}

/// What a call that has waited long does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Ask(Place),
    Wait,
}

/// What the prober does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextProbe {
    Now(Place),
    At(Instant),
    /// Nobody is ejected, or every probe is under way.
    None,
}

#[derive(Debug)]
pub(super) struct Balance {
    members: Vec<Member>,
    /// Where the search begins next, so that equals take turns.
    turn: usize,
    credit: u32,
    newly_ejected: bool,
}

impl Balance {
    pub(super) fn new(count: usize, now: Instant) -> Self {
        Self {
            members: (0..count).map(|_| Member::new(now)).collect(),
            turn: 0,
            credit: CREDIT_MAX,
            newly_ejected: false,
        }
    }

    /// Whether a signer was ejected since this was last asked: then there is something to probe.
    pub(super) const fn take_newly_ejected(&mut self) -> bool {
        std::mem::replace(&mut self.newly_ejected, false)
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(super) fn note_connected(&mut self, place: Place, is_connected: bool) {
        if let Some(member) = self.members.get_mut(place.0) {
            member.is_connected = is_connected;
        }
    }

    /// Gives a call to the signer with the least outstanding of those in use and connected; failing these to one that
    /// is connected; failing these to any. None when the call was with enough of them.
    pub(super) fn assign(&mut self, tried: &mut Tried, why: Why, now: Instant) -> Option<Place> {
        self.eject_stalled(now);
        if !tried.may_try_more() {
            return None;
        }
        let place = self
            .least(*tried, |member| member.takes_calls() && member.is_connected)
            .or_else(|| self.least(*tried, |member| member.is_connected))
            .or_else(|| self.least(*tried, |_| true))?;
        self.turn = place.0 + 1;
        tried.add(place);
        let member = self.members.get_mut(place.0)?;
        member.begin(now);
        match why {
            Why::First => self.credit = (self.credit + 1).min(CREDIT_MAX),
            Why::Retry => member.counts.retries += 1,
            Why::Hedge => member.counts.hedges += 1,
        }
        Some(place)
    }

    /// How long a call waits before another signer is asked as well: what the quickest signer in use rarely exceeds.
    pub(super) fn hedge_after(&self) -> Duration {
        let in_use = self.members.iter().filter(|member| member.standing == Standing::InUse);
        let usual = in_use.filter_map(|member| member.latency.p95()).min();
        usual.map_or(HEDGE_AFTER_UNKNOWN, |p95| {
            (p95 * 2).clamp(HEDGE_AFTER_LEAST, HEDGE_AFTER_MOST)
        })
    }

    /// What a call does that `waits_at` a signer and has waited long. When that signer was ejected meanwhile the call
    /// is moved, which is a retry, to a signer on trial as well: where all calls wait nobody else would give it answers to
    /// prove itself by. When it is only slow the call is hedged, once, if the budget allows and another signer is in use.
    pub(super) fn late(&mut self, waits_at: Place, tried: &mut Tried, may_be_hedged: &mut bool, now: Instant) -> Late {
        self.eject_stalled(now);
        let is_ejected = |member: &Member| member.standing == Standing::Ejected;
        let move_it = self.members.get(waits_at.0).is_some_and(is_ejected);
        let takes_it = |member: &Member| match member.standing {
            Standing::InUse => member.is_connected,
            Standing::OnTrial => move_it && member.is_connected && member.takes_calls(),
            Standing::Ejected => false,
        };
        if !tried.may_try_more() || self.least(*tried, takes_it).is_none() {
            return Late::Wait;
        }
        let why = if move_it {
            Why::Retry
        } else if *may_be_hedged && self.credit >= HEDGE_PRICE {
            self.credit -= HEDGE_PRICE;
            *may_be_hedged = false;
            Why::Hedge
        } else {
            return Late::Wait;
        };
        self.assign(tried, why, now).map_or(Late::Wait, Late::Ask)
    }

    pub(super) fn end(&mut self, place: Place, ending: Ending, now: Instant) {
        let member = self.members.get_mut(place.0);
        if member.is_some_and(|member| member.end(ending, now)) {
            self.eject(place, now);
        }
    }

    pub(super) fn next_probe(&mut self, now: Instant) -> NextProbe {
        let due = (0..).map(Place).zip(&self.members);
        let due = due.filter_map(|(place, member)| Some((member.probe_due()?, place)));
        match due.min() {
            None => NextProbe::None,
            Some((at, _)) if at > now => NextProbe::At(at),
            Some((_, place)) => {
                if let Some(member) = self.members.get_mut(place.0) {
                    member.begin_probe();
                }
                NextProbe::Now(place)
            }
        }
    }

    pub(super) fn end_probe(&mut self, place: Place, held: bool, now: Instant) {
        if let Some(member) = self.members.get_mut(place.0) {
            member.end_probe(held, now);
        }
    }

    fn least(&self, tried: Tried, may: impl Fn(&Member) -> bool) -> Option<Place> {
        let count = self.members.len();
        let turns = (self.turn..self.turn + count).filter_map(|turn| turn.checked_rem(count));
        let places = turns.filter_map(|place| Some((Place(place), self.members.get(place)?)));
        let fit = places.filter(|(place, member)| !tried.has(*place) && may(member));
        fit.min_by_key(|(_, member)| member.load()).map(|(place, _)| place)
    }

    fn eject_stalled(&mut self, now: Instant) {
        for place in (0..self.members.len()).map(Place) {
            let is_stalled = |member: &Member| member.standing != Standing::Ejected && member.is_stalled(now);
            if self.members.get(place.0).is_some_and(is_stalled) {
                self.eject(place, now);
            }
        }
    }

    /// Never the last one: a failing signer is better than none.
    fn eject(&mut self, place: Place, now: Instant) {
        let others = (0..).map(Place).zip(&self.members);
        let mut others = others.filter(|(other, _)| *other != place);
        if others.all(|(_, member)| member.standing == Standing::Ejected) {
            return;
        }
        if let Some(member) = self.members.get_mut(place.0) {
            member.eject(now);
            self.newly_ejected = true;
        }
    }
}

#[cfg(test)]
mod tests;
