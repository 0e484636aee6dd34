//! Tables of multiples of one point, so that a multiplication is a sum of table entries without a doubling.
//!
//! ```text
//!   row i:  1·2^(w·i)·P   3·2^(w·i)·P   5·2^(w·i)·P   …   (2^w − 1)·2^(w·i)·P      2^(w−1) entries of 64 bytes
//! ```
//!
//! A table is public or secret as its point is; what reads it decides whether it may index or must scan.

use super::digits;
use super::point::{Affine, Jacobian};

const FINITE: &str = "small multiples of a point of prime order are finite";

/// How much memory a table takes for its speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableSize {
    /// Window of 6 bits, 86 KiB.
    Small,
    /// Window of 8 bits, 256 KiB.
    Large,
}

impl TableSize {
    pub(super) const fn window(self) -> u32 {
        match self {
            Self::Small => 6,
            Self::Large => 8,
        }
    }
}

/// A public point, with or without its table. One that is seen too rarely for a table is multiplied by doubling and
/// adding.
pub(crate) enum Multiples {
    Tabled(Table),
    Untabled(Affine),
}

/// Odd multiples of a point for every window of a scalar.
pub(crate) struct Table {
    pub(super) window: u32,
    size: TableSize,
    entries_per_row: usize,
    entries: Vec<Affine>,
}

impl Table {
    pub(crate) fn new(point: &Affine, size: TableSize) -> Self {
        let window = size.window();
        let entries_per_row = 1 << (window - 1);
        let mut entries = Vec::new();
        let mut base = *point;
        for _ in 0..digits::count(window) {
            entries.extend(odd_multiples(&base, entries_per_row));
            let mut next = Jacobian::from(base);
            for _ in 0..window {
                next = next.double();
            }
            base = affine(next);
        }
        Self {
            window,
            size,
            entries_per_row,
            entries,
        }
    }

    pub(super) fn size(&self) -> TableSize {
        self.size
    }

    /// Rows from the lowest window up.
    pub(super) fn rows(&self) -> std::slice::ChunksExact<'_, Affine> {
        self.entries.chunks_exact(self.entries_per_row)
    }

    /// One row, all of it.
    pub(super) fn row(&self, row: u32) -> &[Affine] {
        let row = usize::try_from(row).ok().and_then(|row| self.rows().nth(row));
        row.expect("a table has a row for every digit")
    }

    /// An entry at a public place.
    #[inline(always)]
    pub(super) fn entry(&self, row: u32, place: u64) -> &Affine {
        let at = usize::try_from(u64::from(row) << (self.window - 1) | place).ok();
        at.and_then(|at| self.entries.get(at))
            .expect("a digit's place lies within its row")
    }
}

/// P, 3P, 5P, …, of which there are few, with one inversion.
///
/// 2P is (X/Z², Y/Z³), which has no affine form without another inversion. But the map (x, y) to (x·Z², y·Z³) leads to
/// a curve of the same addition law, where 2P is (X, Y): the multiples are added up there, and Z takes them back.
pub(super) fn odd_multiples(point: &Affine, count: usize) -> Vec<Affine> {
    let Jacobian { x, y, z } = Jacobian::from(*point).double();
    let double = Affine { x, y };
    let zz = z.square();
    let mut multiples = Vec::with_capacity(count);
    let mut multiple = Jacobian::from(Affine {
        x: point.x.mul(&zz),
        y: point.y.mul(&zz.mul(&z)),
    });
    for _ in 0..count {
        multiples.push(Jacobian {
            z: multiple.z.mul(&z),
            ..multiple
        });
        // never equal, never opposite: P is of a large prime order
        multiple = multiple.plus_affine(&double).point;
    }
    let multiples = Jacobian::to_affine_all(&multiples).into_iter();
    let finite = multiples.map(|multiple| multiple.expect(FINITE));
    finite.collect()
}

fn affine(point: Jacobian) -> Affine {
    point.to_affine().expect(FINITE)
}
