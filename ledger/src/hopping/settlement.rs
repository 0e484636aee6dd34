//! Bringing one open hop home: what is to be done next, given how far it has come. Pure.
//!
//! ```text
//!   listed ──▶ home fenced beyond the hop's epoch ──▶ settled at home ──▶ closed where it was taken in
//! ```
//!
//! Nothing is kept between attempts: a step that fails, or a process that dies, leaves the hop to be listed again, and
//! whoever lists it begins at the beginning. Settling what is settled says the same as the first time; closing what is
//! closed changes nothing.

use ledger_model::{Hop, HopState};

/// How far a hop has come in this attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is open where it was taken in.
    Listed,
    /// Its home says what has become of it.
    Settled(HopState),
    Closed,
}

/// What is known of the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomeSeen {
    pub is_used: bool,
    /// Under which this process last took the home's shard.
    pub epoch: u64,
    /// This process has fenced it after the hop was listed.
    pub is_fenced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The home cannot be asked now.
    Wait,
    /// Nothing of an older connection to the home may be committed after this.
    Fence,
    Settle,
    Close(HopState),
    Done,
}

/// The one decision. What the home says before it is fenced is not its last word: a commit that was given up may still
/// appear there.
pub const fn next(hop: Hop, progress: Progress, home: HomeSeen) -> Step {
    match progress {
        Progress::Closed => Step::Done,
        Progress::Settled(state) => Step::Close(state),
        Progress::Listed if !home.is_used => Step::Wait,
        Progress::Listed if home.is_fenced || home.epoch > hop.epoch => Step::Settle,
        Progress::Listed => Step::Fence,
    }
}

#[cfg(test)]
mod tests {
    use ledger_model::{Refusal, ShardCount};

    use super::*;

    fn check(progress: Progress, is_used: bool, epoch: u64, is_fenced: bool, expected: Step) {
        let hop = Hop {
            home: ShardCount::new(1).unwrap().shard(0).unwrap(),
            attempt: 1,
            epoch: 7,
        };
        let home = HomeSeen {
            is_used,
            epoch,
            is_fenced,
        };
        assert_eq!(next(hop, progress, home), expected, "{progress:?} {home:?}");
    }

    #[test]
    fn a_hop_is_settled_only_at_a_fenced_home_and_closed_only_with_what_the_home_said() {
        check(Progress::Listed, false, 7, false, Step::Wait);
        check(Progress::Listed, false, 8, true, Step::Wait);
        check(Progress::Listed, true, 6, false, Step::Fence);
        check(Progress::Listed, true, 7, false, Step::Fence);
        check(Progress::Listed, true, 8, false, Step::Settle);
        // a store that only one process can open has no epochs
        check(Progress::Listed, true, 7, true, Step::Settle);
        for state in [
            HopState::Settled,
            HopState::Compensated,
            HopState::Unapplied(Refusal::AccountClosed),
        ] {
            // it may have gone down again since: the close is not its affair
            check(Progress::Settled(state), false, 7, false, Step::Close(state));
            check(Progress::Settled(state), true, 8, false, Step::Close(state));
        }
        check(Progress::Closed, true, 8, false, Step::Done);
    }
}
