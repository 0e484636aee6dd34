//! One signer of a pool as the pool sees it: what is outstanding there, how it answered lately, whether it is used.
//!
//! ```text
//!              lost, silent, 3 failures, 8 unanswered
//!    in use ───────────────────────────────────────────▶ ejected ◀──┐
//!      ▲                                                   │ probe   │ probe failed:
//!      │ 8 answers                                         │ held    │ twice the pause
//!      └────────────────────── on trial ◀──────────────────┴─────────┘
//!                                 │ any failure: ejected, twice the pause
//! ```

use std::time::Duration;

use tokio::time::Instant;

use super::latency::Recent;

/// Failures in a row that eject.
pub(super) const FAILURES_MAX: u32 = 3;
/// Calls in a row, none answered before another signer's answer came, that eject.
pub(super) const UNANSWERED_MAX: u32 = 8;
/// Calls outstanding at a signer on trial.
pub(super) const TRIAL_OUTSTANDING_MAX: u32 = 2;
/// Answers that end the trial.
pub(super) const TRIAL_ANSWERS: u32 = 8;
pub(super) const PAUSE_FIRST: Duration = Duration::from_millis(50);
pub(super) const PAUSE_MOST: Duration = Duration::from_secs(5);
/// Without any answer for so long while some is due, a signer counts as stalled.
pub(super) const SILENCE_LEAST: Duration = Duration::from_millis(250);
const SILENCE_MOST: Duration = Duration::from_secs(2);
/// In 95th percentiles of its own latency.
const SILENCE_LATENCIES: u32 = 20;

const _: () = assert!(PAUSE_FIRST.as_millis() < PAUSE_MOST.as_millis());
const _: () = assert!(SILENCE_LEAST.as_millis() < SILENCE_MOST.as_millis());

/// Whether a signer gets calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    InUse,
    /// Its probe held; it gets a few calls to prove itself by.
    OnTrial,
    /// It gets none, until a probe holds.
    Ejected,
}

/// How one call at one signer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a verdict, whatever it says.
    Answered { after: Duration },
    /// Busy, or without the key that was needed: another may do it, and this one is no worse for it.
    TurnedAway,
    /// The signer or the device behind it failed.
    Failed,
    /// The connection was lost or could not be had.
    Lost,
    /// Another signer answered first, or the deadline passed.
    Unanswered,
    /// The caller went away: says nothing about the signer.
    Dropped,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) standing: Standing,
    pub(super) is_connected: bool,
    pub(super) outstanding: u32,
    pub(super) latency: Recent,
    pub(super) counts: Counts,
    failures_in_a_row: u32,
    /// Given up since its last answer, and perhaps still being worked on there.
    unanswered_in_a_row: u32,
    /// Since when an answer is due and none came.
    silent_since: Option<Instant>,
    trial_answers: u32,
    pause: Duration,
    probe: Probe,
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) hedges: u64,
    pub(super) retries: u64,
    pub(super) ejections: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    DueAt(Instant),
    UnderWay,
}

impl Member {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            standing: Standing::InUse,
            is_connected: false,
            outstanding: 0,
            latency: Recent::new(),
            counts: Counts::default(),
            failures_in_a_row: 0,
            unanswered_in_a_row: 0,
            silent_since: None,
            trial_answers: 0,
            pause: PAUSE_FIRST,
            probe: Probe::DueAt(now),
        }
    }

    /// What is, or may still be, in the works there.
    pub(super) const fn load(&self) -> u32 {
        self.outstanding.saturating_add(self.unanswered_in_a_row)
    }

    pub(super) fn takes_calls(&self) -> bool {
        match self.standing {
            Standing::InUse => true,
            Standing::OnTrial => self.outstanding < TRIAL_OUTSTANDING_MAX,
            Standing::Ejected => false,
        }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.outstanding += 1;
        self.counts.calls += 1;
        self.silent_since.get_or_insert(now);
    }

    /// True when it should get no more calls.
    #[must_use]
    pub(super) fn end(&mut self, ending: Ending, now: Instant) -> bool {
        self.outstanding = self.outstanding.saturating_sub(1);
        match ending {
            Ending::Answered { after } => {
                self.latency.note(after);
                self.failures_in_a_row = 0;
                self.trial_answers += 1;
                if self.standing == Standing::OnTrial && self.trial_answers >= TRIAL_ANSWERS {
                    self.standing = Standing::InUse;
                    self.pause = PAUSE_FIRST;
                }
            }
            Ending::Failed => self.failures_in_a_row += 1,
            Ending::Unanswered => self.unanswered_in_a_row += 1,
            Ending::TurnedAway | Ending::Lost | Ending::Dropped => {}
        }
        if matches!(ending, Ending::Answered { .. } | Ending::TurnedAway | Ending::Failed) {
            self.unanswered_in_a_row = 0;
            self.silent_since = Some(now);
        }
        if self.outstanding == 0 {
            self.silent_since = None;
        }
        ending == Ending::Lost
            || self.failures_in_a_row >= FAILURES_MAX
            || self.unanswered_in_a_row >= UNANSWERED_MAX
            || (self.standing == Standing::OnTrial && matches!(ending, Ending::Failed | Ending::Unanswered))
    }

    /// Whether an answer is due for longer than a signer at work would let one wait.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        let usual = self.latency.p95().unwrap_or(Duration::ZERO) * SILENCE_LATENCIES;
        let patience = usual.clamp(SILENCE_LEAST, SILENCE_MOST);
        self.silent_since
            .is_some_and(|since| now.saturating_duration_since(since) > patience)
    }

    pub(super) fn eject(&mut self, now: Instant) {
        if self.standing == Standing::Ejected {
            return;
        }
        self.standing = Standing::Ejected;
        self.counts.ejections += 1;
        self.start_anew();
        self.pause_before_probe(now);
    }

    /// When the next probe is due; none while one is under way or there is nothing to probe.
    pub(super) fn probe_due(&self) -> Option<Instant> {
        match (self.standing, self.probe) {
            (Standing::Ejected, Probe::DueAt(due)) => Some(due),
            _ => None,
        }
    }

    pub(super) const fn begin_probe(&mut self) {
        self.probe = Probe::UnderWay;
    }

    pub(super) fn end_probe(&mut self, held: bool, now: Instant) {
        if self.standing != Standing::Ejected {
            return;
        }
        if held {
            self.standing = Standing::OnTrial;
            self.trial_answers = 0;
            self.start_anew();
        } else {
            self.pause_before_probe(now);
        }
    }

    fn pause_before_probe(&mut self, now: Instant) {
        self.probe = Probe::DueAt(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MOST);
    }

    /// What happened before says nothing about what comes now. Calls still outstanding stay counted.
    const fn start_anew(&mut self) {
        self.failures_in_a_row = 0;
        self.unanswered_in_a_row = 0;
        self.silent_since = None;
    }
}
