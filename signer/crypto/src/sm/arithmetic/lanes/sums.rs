//! Sums of many public points in each of many groups of eight lanes.
//!
//! As long as a level of the tree has enough additions to be worth an inversion, neighbours are added pair by pair in
//! affine form, all groups sharing the inversion: six products an addition. What is left is added up in Jacobian form.
//!
//! ```text
//!   a b c d e f g    ▶    a+b  c+d  e+f  g    ▶    …    ▶    few    ▶    one
//! ```

use core::arch::x86_64::__mmask8;

use super::curve::{Affine8, Jacobian8, inverted};
use super::fe8::Fe8;

/// Additions on one level, of all groups, below which an inversion costs more than it saves.
const LEVEL_ADDITIONS_MIN: usize = 64;
/// Products that run side by side, so that none waits for the one before.
const CHAINS: usize = 4;

/// The points of eight lanes that are to be added up.
#[derive(Default)]
pub(super) struct Group {
    pub(super) points: Vec<Affine8>,
    /// Lanes whose sum came upon points of the same x, or may have: what is computed of them means nothing.
    pub(super) exceptional: __mmask8,
}

/// The sum of every group's points. Every group has the same number of points, at least one. `products` is room to work
/// in.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn add_up(groups: &mut [Group], products: &mut Vec<Fe8>) -> Vec<Jacobian8> {
    loop {
        let pairs = groups.first().map_or(0, |group| group.points.len() / 2);
        if pairs < 2 || pairs * groups.len() < LEVEL_ADDITIONS_MIN {
            break;
        }
        level(groups, pairs, products);
    }
    if groups.len() == 1 {
        let mut sums = Vec::with_capacity(1);
        for group in groups {
            sums.push(add_up_halves(group));
        }
        return sums;
    }
    add_up_side_by_side(groups)
}

/// One level of the tree. The products run from the last pair down, so that sums may take the place of what they are
/// sums of.
#[target_feature(enable = "avx512f,avx512ifma")]
fn level(groups: &mut [Group], pairs: usize, before: &mut Vec<Fe8>) {
    let one = Fe8::one();
    let mut products = [one; CHAINS];
    let mut chain = 0;
    before.clear();
    for pair in (0..pairs).rev() {
        for group in groups.iter_mut().rev() {
            let (difference, maybe_zero) = group.points[2 * pair].x_difference(&group.points[2 * pair + 1]);
            group.exceptional |= maybe_zero;
            before.push(products[chain]);
            products[chain] = products[chain].mul(&difference.replaced(maybe_zero, &one));
            chain = (chain + 1) % CHAINS;
        }
    }
    let mut inverses = inverted_chains(&products);
    for pair in 0..pairs {
        for group in groups.iter_mut() {
            chain = (chain + CHAINS - 1) % CHAINS;
            let (first, second) = (&group.points[2 * pair], &group.points[2 * pair + 1]);
            let (difference, maybe_zero) = first.x_difference(second);
            let inverse = inverses[chain].mul(&before.pop().expect("one product was kept for every pair"));
            inverses[chain] = inverses[chain].mul(&difference.replaced(maybe_zero, &one));
            group.points[pair] = first.plus_given(second, &inverse);
        }
    }
    for group in groups {
        if group.points.len() % 2 == 1 {
            group.points.swap_remove(pairs);
            group.points.truncate(pairs + 1);
        } else {
            group.points.truncate(pairs);
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn inverted_chains(products: &[Fe8; CHAINS]) -> [Fe8; CHAINS] {
    let [a, b, c, d] = products;
    let (ab, cd) = (a.mul(b), c.mul(d));
    let all = inverted(&ab.mul(&cd));
    let (of_ab, of_cd) = (all.mul(&cd), all.mul(&ab));
    [of_ab.mul(b), of_ab.mul(a), of_cd.mul(d), of_cd.mul(c)]
}

/// All groups by turns: their additions do not wait for each other.
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_up_side_by_side(groups: &mut [Group]) -> Vec<Jacobian8> {
    let count = groups.first().map_or(0, |group| group.points.len());
    let mut sums = Vec::with_capacity(groups.len());
    for group in groups.iter() {
        sums.push(Jacobian8::from_affine(&group.points[0]));
    }
    for at in 1..count {
        for (group, sum) in groups.iter_mut().zip(&mut sums) {
            let (next, exceptional) = sum.plus_affine(&group.points[at]);
            *sum = next;
            group.exceptional |= exceptional;
        }
    }
    sums
}

/// A single group in two halves by turns, for the same reason.
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_up_halves(group: &mut Group) -> Jacobian8 {
    let (first, second) = group.points.split_at(group.points.len() / 2);
    let mut sum = Jacobian8::from_affine(&second[0]);
    let [Some(start), ..] = [first.first()] else { return sum };
    let mut other = Jacobian8::from_affine(start);
    for (at, point) in second.iter().enumerate().skip(1) {
        let (next, exceptional) = sum.plus_affine(point);
        sum = next;
        group.exceptional |= exceptional;
        if let Some(point) = first.get(at) {
            let (next, exceptional) = other.plus_affine(point);
            other = next;
            group.exceptional |= exceptional;
        }
    }
    let (sum, exceptional) = sum.plus(&other);
    group.exceptional |= exceptional;
    sum
}
