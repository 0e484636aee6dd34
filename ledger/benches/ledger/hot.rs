//! Accounts that everybody pays: 70 % of the postings on ten accounts, and on one, beside an even spread in the same run.
//!
//! Rounds alternate, so that what else the machine does falls on all of them alike.

use std::time::Instant;

use crate::Extent;
use crate::figures::Figures;
use crate::in_process::Running;
use crate::work::{HOT_PERCENT, SHARDS, Spread, token};

const ROUNDS: usize = 3;
const SPREADS: [(&str, Spread); 3] = [
    ("uniform", Spread::Uniform),
    ("hot", Spread::Hot(10)),
    ("one_hot", Spread::Hot(1)),
];

pub(crate) fn run(running: &mut Running, extent: Extent, figures: &mut Figures) {
    let mut seconds = [0.0; SPREADS.len()];
    for _ in 0..ROUNDS {
        for ((_, spread), seconds) in SPREADS.iter().zip(&mut seconds) {
            let began = Instant::now();
            running.post(*spread, extent.hot);
            *seconds += began.elapsed().as_secs_f64();
        }
    }
    for ((name, _), seconds) in SPREADS.iter().zip(&seconds) {
        let postings = extent.hot * ROUNDS as u64;
        figures.whole(&format!("{name}_postings_per_s"), (postings as f64 / seconds) as u64);
    }
    figures.ratio("hot_to_uniform", "hot_postings_per_s", "uniform_postings_per_s");
    figures.ratio("one_hot_to_uniform", "one_hot_postings_per_s", "uniform_postings_per_s");
    figures.decimal("hot_fullest_shard", fullest_shard(10));
}

/// Share of all postings that go to the shard with the most of them.
fn fullest_shard(hot: u64) -> f64 {
    let homes: Vec<_> = (0..hot).map(|account| SHARDS.of_account(token(account))).collect();
    let most = SHARDS
        .all()
        .map(|shard| homes.iter().filter(|home| **home == shard).count())
        .max();
    let hot_share = HOT_PERCENT as f64 / 100.0;
    hot_share * most.unwrap_or(0) as f64 / hot as f64 + (1.0 - hot_share) / f64::from(SHARDS.count())
}
