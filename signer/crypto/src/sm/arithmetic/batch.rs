//! Signatures of any number at once: in lanes where the processor has them, one by one elsewhere.
//!
//! Every claim has its own verdict, whatever stands beside it.

use super::BASE_POINT;
#[cfg(target_arch = "x86_64")]
use super::lanes;
use super::table::{Multiples, TableSize};
use super::verify::Claim;

/// Claims that share their inversions. More would not make them cheaper and would not fit the cache.
const CLAIMS_TOGETHER: usize = 64;

#[cfg(any(test, feature = "inside"))]
pub(crate) fn lanes_available() -> bool {
    #[cfg(target_arch = "x86_64")]
    return lanes::available();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Which of the claims hold, in their order. `None` is what is no claim at all, and does not.
pub(crate) fn hold_all(claims: &[Option<Claim<'_>>]) -> Vec<bool> {
    let mut verdicts = vec![false; claims.len()];
    for size in [Some(TableSize::Small), Some(TableSize::Large), None] {
        let of_size = claims.iter().zip(&mut verdicts).filter_map(|(claim, verdict)| {
            let claim = claim.as_ref()?;
            let claim_size = match claim.key {
                Multiples::Tabled(table) => Some(table.size()),
                Multiples::Untabled(_) => None,
            };
            (claim_size == size).then_some((*claim, verdict))
        });
        let (claims, mut places): (Vec<Claim<'_>>, Vec<&mut bool>) = of_size.unzip();
        for (claims, places) in claims.chunks(CLAIMS_TOGETHER).zip(places.chunks_mut(CLAIMS_TOGETHER)) {
            let verdicts = size.and_then(|_| in_lanes(claims));
            let verdicts = verdicts.unwrap_or_else(|| one_by_one(claims));
            for (place, verdict) in places.iter_mut().zip(verdicts) {
                **place = verdict;
            }
        }
    }
    verdicts
}

fn one_by_one(claims: &[Claim<'_>]) -> Vec<bool> {
    claims.iter().map(|claim| claim.holds(&BASE_POINT)).collect()
}

/// Claims whose tables have one size; `None` without lanes.
#[cfg(target_arch = "x86_64")]
fn in_lanes(claims: &[Claim<'_>]) -> Option<Vec<bool>> {
    let verdicts = lanes::verdicts(&BASE_POINT, claims)?;
    let settled = claims.iter().zip(verdicts).map(|(claim, verdict)| match verdict {
        lanes::Verdict::Holds => true,
        lanes::Verdict::Fails => false,
        lanes::Verdict::Open => claim.holds(&BASE_POINT),
    });
    Some(settled.collect())
}

#[cfg(not(target_arch = "x86_64"))]
fn in_lanes(_: &[Claim<'_>]) -> Option<Vec<bool>> {
    None
}
