//! Which homes may have hops in which shard that are not settled yet, as far as this process knows. Pure.
//!
//! A hop counts from before it is sent until a listing of the shard that took it in, begun after it ended, does not show its
//! home any more. Shards are told apart, not groups: a shard may move to another group while a hop of it is open. What
//! hopped before this process started into a shard that it has not been able to list, or through another process since
//! the last listing, is not known here; settlement finds it all the same.

use std::collections::{BTreeMap, BTreeSet};

use ledger_model::ShardId;

/// The moment at which a listing began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Debt {
    taker: ShardId,
    home: ShardId,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    under_way: u32,
    /// When one last ended, or was last listed.
    last: Mark,
}

#[derive(Debug, Default)]
pub struct Owed {
    events: u64,
    known: BTreeMap<Debt, Known>,
}

impl Owed {
    /// A hop of `home` is about to be sent to `taker`.
    pub fn sent(&mut self, home: ShardId, taker: ShardId) {
        let last = self.mark();
        let known = self.known.entry(Debt { taker, home });
        known.or_insert(Known { under_way: 0, last }).under_way += 1;
    }

    /// It has ended, however it did.
    pub fn ended(&mut self, home: ShardId, taker: ShardId) {
        let last = self.mark();
        if let Some(known) = self.known.get_mut(&Debt { taker, home }) {
            known.under_way = known.under_way.saturating_sub(1);
            known.last = last;
        }
    }

    /// To be called before a listing begins.
    pub fn mark(&mut self) -> Mark {
        self.events += 1;
        Mark(self.events)
    }

    /// All open hops of `taker`, as a listing found them that began at `began`, are of these homes.
    pub fn listed(&mut self, taker: ShardId, began: Mark, homes: &BTreeSet<ShardId>) {
        self.known.retain(|debt, known| {
            let is_over = known.under_way == 0 && known.last < began;
            debt.taker != taker || homes.contains(&debt.home) || !is_over
        });
        for home in homes {
            let known = self.known.entry(Debt { taker, home: *home });
            known
                .or_insert(Known {
                    under_way: 0,
                    last: began,
                })
                .last
                .clone_from(&began);
        }
    }

    /// Whether a hop of `home` may be open in any shard for which `is_meant` holds.
    pub fn is_owed(&self, home: ShardId, is_meant: impl Fn(ShardId) -> bool) -> bool {
        self.known.keys().any(|debt| debt.home == home && is_meant(debt.taker))
    }
}

#[cfg(test)]
mod tests {
    use ledger_model::ShardCount;

    use super::*;

    const TWO: ShardCount = ShardCount::new(2).unwrap();

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Sent,
        Ended,
        Marked,
        /// A listing from the last mark: did it show the home?
        Listed {
            shown: bool,
        },
    }

    fn check(steps: &[Step], expected: bool) {
        let [home, taker] = [0, 1].map(|number| TWO.shard(number).unwrap());
        let mut owed = Owed::default();
        let mut mark = owed.mark();
        for step in steps {
            match step {
                Step::Sent => owed.sent(home, taker),
                Step::Ended => owed.ended(home, taker),
                Step::Marked => mark = owed.mark(),
                Step::Listed { shown } => {
                    let homes = if *shown {
                        BTreeSet::from([home])
                    } else {
                        BTreeSet::new()
                    };
                    owed.listed(taker, mark, &homes);
                }
            }
        }
        assert_eq!(owed.is_owed(home, |_| true), expected, "{steps:?}");
        assert_eq!(owed.is_owed(home, |shard| shard == taker), expected, "{steps:?}");
        assert!(!owed.is_owed(home, |shard| shard == home));
        assert!(!owed.is_owed(taker, |_| true));
    }

    #[test]
    fn a_hop_is_owed_until_a_listing_that_began_after_it_does_not_show_it() {
        use Step::{Ended, Listed, Marked, Sent};
        let (shown, gone) = (Listed { shown: true }, Listed { shown: false });
        check(&[], false);
        check(&[Sent], true);
        check(&[Sent, Ended], true);
        check(&[Sent, Ended, Marked, gone], false);
        check(&[Sent, Ended, Marked, shown], true);
        check(&[Sent, Ended, Marked, shown, Marked, gone], false);
        // still under way while the listing was made
        check(&[Sent, Marked, gone], true);
        check(&[Sent, Marked, Ended, gone], true);
        check(&[Sent, Sent, Ended, Marked, gone], true);
        // found by the listing alone: of another process
        check(&[Marked, shown], true);
        check(&[Marked, shown, Marked, gone], false);
    }
}
