//! Multiples of one public point, computed once, which turn a multiplication into 64 additions without doublings.
//!
//! A bank verifies with a handful of keys, so each certificate keeps its table: 64 windows of 4 bits, the 15 non-zero
//! multiples of each, about 68 KiB. Lookups are by plain index: only for public points and public scalars.

use sm2::elliptic_curve::{BatchNormalize, Group, PrimeField};
use sm2::{AffinePoint, ProjectivePoint, Scalar};

const WINDOWS: usize = 64;
const MULTIPLES: usize = 15;

pub(super) struct PointTable {
    /// From the lowest window to the highest; in each, 1 to 15 times its base.
    windows: Box<[[AffinePoint; MULTIPLES]]>,
}

impl PointTable {
    pub(super) fn new(point: &AffinePoint) -> Self {
        let mut base = ProjectivePoint::from(*point);
        let mut multiples = Vec::with_capacity(WINDOWS * MULTIPLES);
        for _ in 0..WINDOWS {
            let mut multiple = base;
            for _ in 0..MULTIPLES {
                multiples.push(multiple);
                multiple += base;
            }
            base = multiple;
        }
        let affine = ProjectivePoint::batch_normalize_vartime(multiples.as_slice());
        let (windows, _) = affine.as_chunks::<MULTIPLES>();
        Self {
            windows: windows.into(),
        }
    }

    /// `scalar` times the point, in a time that depends on `scalar`.
    pub(super) fn mul_vartime(&self, scalar: &Scalar) -> ProjectivePoint {
        let mut sum = ProjectivePoint::identity();
        let big_endian = scalar.to_repr();
        let nibbles = big_endian.iter().rev().flat_map(|byte| [byte & 0x0F, byte >> 4]);
        for (window, nibble) in self.windows.iter().zip(nibbles) {
            // Zero has no entry and adds nothing.
            if let Some(multiple) = usize::from(nibble).checked_sub(1).and_then(|index| window.get(index)) {
                sum += multiple;
            }
        }
        sum
    }
}
