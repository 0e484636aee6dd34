//! What a run came to see, counted, so that nobody takes the simulation to prove what it never met.

/// How often it happened in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Orders taken in for a home that could not be reached; stand-ins among them.
    pub(crate) hops: u64,
    pub(crate) stand_ins: u64,
    /// Hops of which the attempt at home was in doubt.
    pub(crate) second_attempts: u64,
    pub(crate) settlements: u64,
    pub(crate) compensations: u64,
    pub(crate) unapplied: u64,
    /// Of these, of orders that the home had refused by itself.
    pub(crate) refused_before: u64,
    pub(crate) days_closed: u64,
    /// Commits refused because a key that was taken as new was there.
    pub(crate) keys_taken: u64,
    /// Calls to a broker that was away.
    pub(crate) broker_away: u64,
    pub(crate) pieces_lost: u64,
    pub(crate) pieces_in_doubt: u64,
    /// Carriers shut out by another.
    pub(crate) fenced: u64,
    pub(crate) topics_cut: u64,
}

/// In how many runs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally([u64; Reached::NAMES.len()]);

impl Reached {
    const NAMES: [&'static str; 14] = [
        "hops",
        "stand-ins",
        "second attempts",
        "settlements",
        "compensations",
        "unapplied",
        "refused before",
        "days closed",
        "keys taken",
        "broker away",
        "pieces lost",
        "pieces in doubt",
        "producers fenced",
        "topics cut",
    ];

    fn counts(self) -> [u64; Self::NAMES.len()] {
        let Self {
            hops,
            stand_ins,
            second_attempts,
            settlements,
            compensations,
            unapplied,
            refused_before,
            days_closed,
            keys_taken,
            broker_away,
            pieces_lost,
            pieces_in_doubt,
            fenced,
            topics_cut,
        } = self;
        [
            hops,
            stand_ins,
            second_attempts,
            settlements,
            compensations,
            unapplied,
            refused_before,
            days_closed,
            keys_taken,
            broker_away,
            pieces_lost,
            pieces_in_doubt,
            fenced,
            topics_cut,
        ]
    }
}

impl Tally {
    pub(crate) fn add(&mut self, reached: Reached) {
        for (seeds, count) in self.0.iter_mut().zip(reached.counts()) {
            *seeds += u64::from(count > 0);
        }
    }

    pub(crate) fn never_met(&self) -> Vec<&'static str> {
        let named = Reached::NAMES.into_iter().zip(self.0);
        named.filter(|(_, seeds)| *seeds == 0).map(|(name, _)| name).collect()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = Reached::NAMES.iter().zip(self.0);
        let parts: Vec<String> = named.map(|(name, seeds)| format!("{name} {seeds}")).collect();
        write!(f, "seeds with {}", parts.join(", "))
    }
}
