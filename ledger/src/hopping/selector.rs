//! Whether a shard group can be written: decided from what was seen of it, and the time at which it was seen.
//!
//! ```text
//!          failure               failures_max within the window
//!     Up ──────────▶ Suspect ───────────────────────────────────▶ Down ◀──────────┐
//!      ▲ ▲              │                                          │              │ a call or probe fails
//!      │ └──────────────┘                            probes_to_return writes      │
//!      │   a write, and no failure in the window                   ▼              │
//!      └────────────────── every shard is fenced ───────────── Recovering ────────┘
//! ```
//!
//! Only writes count as signs of life. A failure belongs to the time at which its call began: one that began before the
//! group recovered says nothing about it now. Pure: times are given, nothing is waited for.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectorSettings {
    /// Failures within the window that take a group out.
    pub failures_max: NonZeroU32,
    pub window: Duration,
    /// Probes that must write, one after the other, before a group that is down is trusted to stay.
    pub probes_to_return: NonZeroU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    Up,
    /// It failed lately, but not often enough: still used, and probed.
    Suspect,
    /// Not used, not waited for.
    Down,
    /// It can be written; its shards are being fenced. Not used yet.
    Recovering,
}

/// Something that was seen of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A call wrote.
    Wrote,
    /// A call failed for the group's sake: unreachable, in doubt, out of time.
    Failed,
    ProbeWrote,
    ProbeFailed,
    /// After it came back, every shard of it was taken anew, under a higher epoch.
    Fenced,
}

/// One group's record.
#[derive(Debug, Clone)]
pub struct Selector {
    settings: SelectorSettings,
    state: GroupState,
    /// Since when it is in this state; none before the first change.
    since: Option<Instant>,
    /// When calls failed that still count, in the order in which they did.
    failures: VecDeque<Instant>,
    /// Probes that wrote since the last that failed, while down.
    probes: u32,
}

impl GroupState {
    /// Whether orders are sent there.
    pub const fn is_used(self) -> bool {
        matches!(self, Self::Up | Self::Suspect)
    }

    /// Stable name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Recovering => "recovering",
        }
    }

    /// In metrics: 0 up, 1 suspect, 2 down, 3 recovering.
    pub const fn number(self) -> i64 {
        match self {
            Self::Up => 0,
            Self::Suspect => 1,
            Self::Down => 2,
            Self::Recovering => 3,
        }
    }
}

impl Selector {
    /// A group nothing is known of is taken to be up.
    pub fn new(settings: SelectorSettings) -> Self {
        Self {
            settings,
            state: GroupState::Up,
            since: None,
            failures: VecDeque::new(),
            probes: 0,
        }
    }

    /// Of a group that could not be reached when this began.
    pub fn down(settings: SelectorSettings) -> Self {
        Self {
            state: GroupState::Down,
            ..Self::new(settings)
        }
    }

    pub fn state(&self) -> GroupState {
        self.state
    }

    /// Takes in what was seen `now`, of a call that began at `began`; the state afterwards.
    pub fn see(&mut self, seen: Seen, began: Instant, now: Instant) -> GroupState {
        if self.since.is_some_and(|since| began < since) {
            // of a time before the last change: it is what led to it, or is out of date
            return self.state;
        }
        let next = match (self.state, seen) {
            (GroupState::Up | GroupState::Suspect, Seen::Failed | Seen::ProbeFailed) => self.failed(now),
            (GroupState::Up | GroupState::Suspect, Seen::Wrote | Seen::ProbeWrote) => self.wrote(now),
            (GroupState::Down, Seen::ProbeWrote) => self.probed(),
            (GroupState::Down, Seen::Failed | Seen::ProbeFailed) => {
                self.probes = 0;
                GroupState::Down
            }
            (GroupState::Recovering, Seen::Failed | Seen::ProbeFailed) => GroupState::Down,
            (GroupState::Recovering, Seen::Fenced) => GroupState::Up,
            // a call from before it went down may end well afterwards; only the probe brings a group back
            (GroupState::Down, Seen::Wrote | Seen::Fenced)
            | (GroupState::Recovering, Seen::Wrote | Seen::ProbeWrote)
            | (GroupState::Up | GroupState::Suspect, Seen::Fenced) => self.state,
        };
        self.enter(next, now);
        next
    }

    fn enter(&mut self, next: GroupState, now: Instant) {
        if next == self.state {
            return;
        }
        match (self.state, next) {
            // the same failures go on counting
            (GroupState::Up, GroupState::Suspect) | (GroupState::Suspect, GroupState::Up) => {}
            _ => {
                self.failures.clear();
                self.probes = 0;
                self.since = Some(now);
            }
        }
        self.state = next;
    }

    fn failed(&mut self, now: Instant) -> GroupState {
        self.forget_before(now);
        self.failures.push_back(now);
        let count = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        if count >= self.settings.failures_max.get() {
            GroupState::Down
        } else {
            GroupState::Suspect
        }
    }

    fn wrote(&mut self, now: Instant) -> GroupState {
        self.forget_before(now);
        if self.failures.is_empty() {
            GroupState::Up
        } else {
            GroupState::Suspect
        }
    }

    fn probed(&mut self) -> GroupState {
        self.probes = self.probes.saturating_add(1);
        if self.probes >= self.settings.probes_to_return.get() {
            GroupState::Recovering
        } else {
            GroupState::Down
        }
    }

    fn forget_before(&mut self, now: Instant) {
        let window = self.settings.window;
        while self
            .failures
            .front()
            .is_some_and(|failure| now.saturating_duration_since(*failure) >= window)
        {
            self.failures.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GroupState::{Down, Recovering, Suspect, Up};
    use super::Seen::{Failed, Fenced, ProbeFailed, ProbeWrote, Wrote};
    use super::*;

    /// Three failures within a second; two probes to return.
    const SETTINGS: SelectorSettings = SelectorSettings {
        failures_max: NonZeroU32::new(3).unwrap(),
        window: Duration::from_secs(1),
        probes_to_return: NonZeroU32::new(2).unwrap(),
    };

    /// What is seen at a millisecond, and the state afterwards.
    fn check(story: &[(u64, Seen, GroupState)]) {
        let calls: Vec<_> = story
            .iter()
            .map(|(at, seen, state)| (*at, *at, *seen, *state))
            .collect();
        check_calls(&calls);
    }

    /// A call that begins at one millisecond and ends at another.
    fn check_calls(story: &[(u64, u64, Seen, GroupState)]) {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut selector = Selector::new(SETTINGS);
        for (place, (began, now, seen, expected)) in story.iter().enumerate() {
            let state = selector.see(*seen, at(*began), at(*now));
            assert_eq!(state, *expected, "step {place}: {seen:?} at {now}");
            assert_eq!(selector.state(), state);
        }
    }

    #[test]
    fn as_many_failures_as_allowed_within_the_window_take_a_group_out() {
        check(&[(0, Failed, Suspect), (10, Failed, Suspect), (20, Failed, Down)]);
        check(&[(0, Failed, Suspect), (10, ProbeFailed, Suspect), (999, Failed, Down)]);
        check(&[(0, Failed, Suspect), (10, Failed, Suspect), (1_000, Failed, Suspect)]);
    }

    #[test]
    fn a_write_clears_a_suspicion_once_the_window_is_past_the_failures() {
        check(&[
            (0, Failed, Suspect),
            (10, Wrote, Suspect),
            (999, Wrote, Suspect),
            (1_000, Wrote, Up),
        ]);
        check(&[(0, Failed, Suspect), (1_500, ProbeWrote, Up)]);
        // every other call fails: successes between them do not hide it
        check(&[
            (0, Failed, Suspect),
            (1, Wrote, Suspect),
            (2, Failed, Suspect),
            (3, Wrote, Suspect),
            (4, Failed, Down),
        ]);
    }

    const OUT: [(u64, Seen, GroupState); 3] = [(0, Failed, Suspect), (1, Failed, Suspect), (2, Failed, Down)];

    fn check_after_out(story: &[(u64, Seen, GroupState)]) {
        check(&[&OUT, story].concat());
    }

    #[test]
    fn a_group_that_was_away_from_the_beginning_comes_back_like_any_other() {
        let now = Instant::now();
        let mut selector = Selector::down(SETTINGS);
        let seen = [Wrote, ProbeWrote, ProbeWrote, Fenced].map(|seen| selector.see(seen, now, now));
        assert_eq!(seen, [Down, Down, Recovering, Up]);
    }

    #[test]
    fn only_probes_that_write_bring_a_group_back_and_only_once_it_is_fenced() {
        check_after_out(&[(10, ProbeWrote, Down), (20, ProbeWrote, Recovering), (30, Fenced, Up)]);
        check_after_out(&[(10, ProbeWrote, Down), (20, ProbeFailed, Down), (30, ProbeWrote, Down)]);
        check_after_out(&[(10, ProbeWrote, Down), (20, Failed, Down), (30, ProbeWrote, Down)]);
        // what began before may end well, and proves nothing
        check_after_out(&[(10, Wrote, Down), (20, Wrote, Down), (30, Fenced, Down)]);
    }

    #[test]
    fn a_group_that_fails_while_it_recovers_is_down_and_starts_anew() {
        let back = [(10, ProbeWrote, Down), (20, ProbeWrote, Recovering)];
        check_after_out(&[&back[..], &[(30, Failed, Down), (40, ProbeWrote, Down)]].concat());
        check_after_out(&[&back[..], &[(30, ProbeFailed, Down), (40, ProbeWrote, Down)]].concat());
        check_after_out(&[&back[..], &[(30, ProbeWrote, Recovering), (40, Wrote, Recovering)]].concat());
    }

    #[test]
    fn failures_from_before_it_came_back_do_not_count() {
        let out = OUT.map(|(at, seen, state)| (at, at, seen, state));
        let back = [(10, 10, ProbeWrote, Down), (20, 20, ProbeWrote, Recovering)];
        // a call that waited its second out, from while the group was down
        check_calls(&[&out[..], &back[..], &[(15, 25, Failed, Recovering)]].concat());
        let up = [(30, 30, Fenced, Up)];
        check_calls(
            &[
                &out[..],
                &back[..],
                &up[..],
                &[(25, 40, Failed, Up), (31, 41, Failed, Suspect)],
            ]
            .concat(),
        );
    }

    #[test]
    fn a_flapping_group_goes_out_as_often_as_it_fails() {
        let mut story = Vec::new();
        for round in 0..5 {
            let at = round * 100;
            story.extend([
                (at, Failed, Suspect),
                (at + 1, Failed, Suspect),
                (at + 2, Failed, Down),
                (at + 10, ProbeWrote, Down),
                (at + 20, ProbeFailed, Down),
                (at + 30, ProbeWrote, Down),
                (at + 40, ProbeWrote, Recovering),
                (at + 50, Fenced, Up),
            ]);
        }
        check(&story);
    }
}
