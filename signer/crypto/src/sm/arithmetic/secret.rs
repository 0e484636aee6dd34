//! Multiples by secret scalars: in lanes where the processor has them and there are enough, one by one elsewhere.
//!
//! Constant-time. A multiple is `None` where it is infinity, or for the handful of scalars in 2^256 for which an
//! addition on the way meets two equal points (see `multiply`); scalars are not zero.

use zeroize::{Zeroize, Zeroizing};

#[cfg(target_arch = "x86_64")]
use super::lanes;
use super::point::{Affine, Jacobian};
use super::scalar::Scalar;
use super::table::Multiples;
#[cfg(target_arch = "x86_64")]
use super::table::{Table, TableSize};
use super::{BASE_POINT_SCANNED, multiply};

/// Multiples below which the lanes do not pay.
const LANES_MULTIPLES_MIN: usize = 2;
/// Base multiples that share their inversion.
const BASE_MULTIPLES_TOGETHER: usize = 64;
/// Multiples of other points that share their inversions: the odd multiples of more would not stay in the first cache.
const MULTIPLES_TOGETHER: usize = 16;

/// k·G.
pub(crate) fn base_multiple(k: &Scalar) -> Option<Affine> {
    affine(multiply::fixed_secret(&BASE_POINT_SCANNED, k))
}

/// k·G for every k, in their order.
pub(crate) fn base_multiples(scalars: &[Scalar]) -> Zeroizing<Vec<Option<Affine>>> {
    let mut multiples = Zeroizing::new(Vec::with_capacity(scalars.len()));
    for scalars in scalars.chunks(BASE_MULTIPLES_TOGETHER) {
        #[cfg(target_arch = "x86_64")]
        if scalars.len() >= LANES_MULTIPLES_MIN
            && let Some(some) = lanes::base_multiples(scalars)
        {
            multiples.extend_from_slice(&some);
            continue;
        }
        let one_by_one = scalars.iter().map(|k| multiply::fixed_secret(&BASE_POINT_SCANNED, k));
        multiples.extend_from_slice(&affine_all(one_by_one));
    }
    multiples
}

/// k·P.
pub(crate) fn multiple(point: &Multiples, k: &Scalar) -> Option<Affine> {
    affine(product(point, k))
}

fn product(point: &Multiples, k: &Scalar) -> Jacobian {
    match point {
        Multiples::Tabled(table) => multiply::fixed_secret(table, k),
        Multiples::Untabled(point) => multiply::variable_secret(point, k),
    }
}

/// k·P for every P and its k, in their order.
pub(crate) fn multiples_each(points: &[&Multiples], scalars: &[Scalar]) -> Zeroizing<Vec<Option<Affine>>> {
    let mut multiples = Zeroizing::new(Vec::with_capacity(points.len()));
    let chunks = points
        .chunks(BASE_MULTIPLES_TOGETHER)
        .zip(scalars.chunks(BASE_MULTIPLES_TOGETHER));
    for (points, scalars) in chunks {
        #[cfg(target_arch = "x86_64")]
        if scalars.len() >= LANES_MULTIPLES_MIN
            && let Some(tables) = small_tables(points)
            && let Some(some) = lanes::multiples_each(&tables, scalars)
        {
            multiples.extend_from_slice(&some);
            continue;
        }
        let one_by_one = points.iter().zip(scalars).map(|(point, k)| product(point, k));
        multiples.extend_from_slice(&affine_all(one_by_one));
    }
    multiples
}

/// The tables of points that all have a small one: a large one takes four times as long to read through.
#[cfg(target_arch = "x86_64")]
fn small_tables<'t>(points: &[&'t Multiples]) -> Option<Vec<&'t Table>> {
    let tables = points.iter().map(|point| match point {
        Multiples::Tabled(table) if table.size() == TableSize::Small => Some(table),
        Multiples::Tabled(_) | Multiples::Untabled(_) => None,
    });
    tables.collect()
}

/// k·P for every P, in their order.
pub(crate) fn multiples(points: &[Affine], k: &Scalar) -> Zeroizing<Vec<Option<Affine>>> {
    let mut multiples = Zeroizing::new(Vec::with_capacity(points.len()));
    for points in points.chunks(MULTIPLES_TOGETHER) {
        #[cfg(target_arch = "x86_64")]
        if points.len() >= LANES_MULTIPLES_MIN
            && let Some(some) = lanes::multiples(points, k)
        {
            multiples.extend_from_slice(&some);
            continue;
        }
        let one_by_one = points.iter().map(|point| multiply::variable_secret(point, k));
        multiples.extend_from_slice(&affine_all(one_by_one));
    }
    multiples
}

fn affine(mut point: Jacobian) -> Option<Affine> {
    let affine = point.to_affine();
    point.zeroize();
    affine
}

fn affine_all(points: impl Iterator<Item = Jacobian>) -> Zeroizing<Vec<Option<Affine>>> {
    let points: Zeroizing<Vec<Jacobian>> = Zeroizing::new(points.collect());
    Zeroizing::new(Jacobian::to_affine_all(&points))
}
