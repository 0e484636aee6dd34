//! Our own arithmetic for the multiplications that signatures need: multiples of points that are known beforehand.
//!
//! The network signs with a handful of keys, so every key that verifies, and the base point, gets a table once, and a
//! multiplication becomes a sum of table entries without a doubling. Verification (public values) indexes tables and
//! compares without a division; signing (a secret nonce) scans them under masks. All other arithmetic of SM2 is that
//! of the `sm2` crate, against which this module is tested.

#![expect(
    clippy::inline_always,
    reason = "field operations of a few instructions, where a call costs as much as the work"
)]
#![expect(clippy::many_single_char_names, reason = "the names the formulas are published with")]

mod batch;
mod digits;
mod field;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(test)]
mod laws;
mod limbs;
mod multiply;
mod point;
mod scalar;
mod secret;
mod table;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::LazyLock;

pub(crate) use batch::hold_all;
#[cfg(any(test, feature = "inside"))]
pub(crate) use batch::lanes_available;
pub(crate) use point::Affine;
pub(crate) use scalar::Scalar;
pub(crate) use secret::{base_multiple, base_multiples, multiple, multiples, multiples_each};
pub(crate) use table::{Multiples, Table, TableSize};
pub(crate) use verify::Claim;

/// For public scalars: indexed, so it may be large.
pub(crate) static BASE_POINT: LazyLock<Table> = LazyLock::new(|| Table::new(&Affine::generator(), TableSize::Large));

/// For secret scalars: scanned whole, so it had better be small.
static BASE_POINT_SCANNED: LazyLock<Table> = LazyLock::new(|| Table::new(&Affine::generator(), TableSize::Small));
