//! Whether one signature holds, its points spread over the eight lanes: for the few that come alone.
//!
//! ```text
//!   lane 0:  p0 + p8  + p16 + …
//!   lane 1:  p1 + p9  + p17 + …      then lanes 0 and 4, 0 and 2, 0 and 1 are added
//!   …
//! ```

use super::super::digits::{self, OddScalar};
use super::super::point::Affine;
use super::super::table::{Multiples, Table};
use super::super::verify::Claim;
use super::curve::Affine8;
use super::fe8::LANES;
use super::sums::Sum8;
use super::verify::{Verdict, expected_x, x_matches};

/// The table entries of one sum, eight by eight.
#[derive(Default)]
struct Entries<'t> {
    points: Vec<&'t Affine>,
    negative: Vec<bool>,
}

impl<'t> Entries<'t> {
    fn push_multiple(&mut self, table: &'t Table, scalar: &OddScalar) {
        for row in 0..digits::count(table.window) {
            let digit = scalar.digit(row, table.window);
            self.points.push(table.entry(row, digit.place));
            self.negative.push(digit.negative != 0);
        }
    }

    /// At most eight of them; the lanes that are left get the first again.
    #[target_feature(enable = "avx512f")]
    fn eight(points: &[&'t Affine], negative: &[bool]) -> Affine8 {
        let (mut entries, mut mask) = ([points[0]; LANES], 0);
        for (lane, (point, negative)) in points.iter().zip(negative).enumerate() {
            entries[lane] = point;
            mask |= u8::from(*negative) << lane;
        }
        Affine8::gathered(&entries, mask)
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn verdict(g: &Table, claim: &Claim<'_>) -> Verdict {
    let Some(t) = claim.key_scalar() else {
        return Verdict::Fails;
    };
    let (x, may_exceed_order) = expected_x(claim);
    let (Multiples::Tabled(key), false) = (claim.key, may_exceed_order) else {
        return Verdict::Open;
    };
    let mut entries = Entries::default();
    entries.push_multiple(g, &OddScalar::new(&claim.s));
    entries.push_multiple(key, &OddScalar::new(&t));
    let Some(sum) = sum(&entries) else { return Verdict::Open };
    if x_matches(&[x; LANES], &sum) == 0xFF {
        Verdict::Holds
    } else {
        Verdict::Fails
    }
}

/// `None` where an exceptional case may have come up.
#[target_feature(enable = "avx512f,avx512ifma")]
fn sum(entries: &Entries<'_>) -> Option<Sum8> {
    let (points, last) = entries.points.as_chunks::<LANES>();
    let (negative, last_negative) = entries.negative.as_chunks::<LANES>();
    let mut eights = Vec::with_capacity(points.len());
    for (points, negative) in points.iter().zip(negative) {
        eights.push(Entries::eight(points, negative));
    }
    let mut exceptional = 0;
    // two halves by turns, so that one addition does not wait for another
    let (twos, odd) = eights.as_chunks::<2>();
    let (start, twos) = twos.split_first()?;
    let mut halves = [Sum8::from_affine(&start[0]), Sum8::from_affine(&start[1])];
    for two in twos {
        let [first, second] = Sum8::add_each(&mut halves, two);
        exceptional |= first | second;
    }
    let [mut sum, other] = halves;
    for point in odd {
        let (next, maybe) = sum.plus_affine(point);
        sum = next;
        exceptional |= maybe;
    }
    if !last.is_empty() {
        let lanes = !(0xFF << last.len());
        let (more, maybe) = sum.plus_affine(&Entries::eight(last, last_negative));
        sum = sum.replaced(lanes, &more);
        exceptional |= maybe & lanes;
    }
    let (sum, maybe) = sum.plus(&other);
    exceptional |= maybe;
    let (sum, maybe) = sum.lanes_added_up();
    (exceptional | maybe == 0).then_some(sum)
}
