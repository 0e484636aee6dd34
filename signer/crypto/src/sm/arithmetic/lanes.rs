//! Eight multiplications side by side, on processors with AVX-512 IFMA; chosen at run time.
//!
//! The one place with `unsafe`: calls of functions that need those instructions, from here alone and after asking for
//! them, and loads and stores of whole vectors. The functions themselves use the safe intrinsics. What the lanes do is
//! held against the scalar path, which is what decides where they leave a case open.

#![allow(
    unsafe_code,
    reason = "vector instructions are called where the processor was asked for them"
)]
#![expect(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "limbs, lanes and chains are arrays whose lengths are constants, and so are the loops over them"
)]

mod curve;
mod digits8;
mod fe8;
mod fixed;
mod keyed;
mod loose8;
#[cfg(test)]
mod secret_tests;
mod spread;
mod sums;
#[cfg(test)]
mod tests;
mod variable;
mod vectors;
mod verify;
#[cfg(test)]
mod verify_tests;

use zeroize::Zeroizing;

use super::BASE_POINT_SCANNED;
use super::point::Affine;
use super::scalar::Scalar;
use super::table::Table;
use super::verify::Claim;
pub(super) use verify::Verdict;

/// So many claims are decided one after another, each over all lanes; more are a group of eight that is not full.
const SPREAD_MAX: usize = 3;

/// Whether this processor has what the lanes need.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
}

/// What the lanes say of claims whose tables all have the same window; `None` without lanes.
pub(super) fn verdicts(g: &Table, claims: &[Claim<'_>]) -> Option<Vec<Verdict>> {
    if !available() {
        return None;
    }
    let rest = claims.len() % fe8::LANES;
    let alone = if rest <= SPREAD_MAX { rest } else { 0 };
    let (together, alone) = claims.split_at(claims.len() - alone);
    // SAFETY: the processor has the instructions.
    let mut verdicts = unsafe { verify::verdicts(g, together) };
    // SAFETY: as above.
    verdicts.extend(alone.iter().map(|claim| unsafe { spread::verdict(g, claim) }));
    Some(verdicts)
}

/// k·G for every k, none of them zero; `None` without lanes. Constant-time.
pub(super) fn base_multiples(scalars: &[Scalar]) -> Option<Zeroizing<Vec<Option<Affine>>>> {
    // SAFETY: the processor has the instructions.
    available().then(|| unsafe { fixed::base_multiples(&BASE_POINT_SCANNED, scalars) })
}

/// k·P for every P and its k, none of them zero, by tables of one window; `None` without lanes. Constant-time.
pub(super) fn multiples_each(tables: &[&Table], scalars: &[Scalar]) -> Option<Zeroizing<Vec<Option<Affine>>>> {
    // SAFETY: the processor has the instructions.
    available().then(|| unsafe { keyed::multiples(tables, scalars) })
}

/// k·P for every P, k not being zero; `None` without lanes. Constant-time.
pub(super) fn multiples(points: &[Affine], k: &Scalar) -> Option<Zeroizing<Vec<Option<Affine>>>> {
    // SAFETY: the processor has the instructions.
    available().then(|| unsafe { variable::multiples(points, k) })
}
