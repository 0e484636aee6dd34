//! SM2 by digests and raw numbers: no certificate, no encoding. "Portable" is the scalar path of any processor, all else
//! what the processor allows.

use std::fmt;

use crate::sm::arithmetic::{self, Affine, Claim, Multiples, Scalar, Table};

/// Whether this processor has the lanes (AVX-512 IFMA).
pub fn lanes_available() -> bool {
    arithmetic::lanes_available()
}

/// How much memory a public key's table takes for its speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableSize {
    /// 86 KiB.
    Small,
    /// 256 KiB.
    Large,
}

impl From<TableSize> for arithmetic::TableSize {
    fn from(size: TableSize) -> Self {
        match size {
            TableSize::Small => Self::Small,
            TableSize::Large => Self::Large,
        }
    }
}

/// An SM2 public key.
pub struct PublicKey(Multiples);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(…)")
    }
}

impl PublicKey {
    /// With its table; `None` for what is not a point of the curve.
    pub fn new(x: &[u8; 32], y: &[u8; 32], size: TableSize) -> Option<Self> {
        let point = Affine::from_coordinates(x, y)?;
        Some(Self(Multiples::Tabled(Table::new(&point, size.into()))))
    }

    /// Without a table; `None` for what is not a point of the curve.
    pub fn untabled(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        Affine::from_coordinates(x, y).map(|point| Self(Multiples::Untabled(point)))
    }

    /// One verification on the scalar path: of digest `e` and signature `r‖s`.
    pub fn verify_digest(&self, e: &[u8; 32], r_s: &[u8; 64]) -> bool {
        claim(&(self, e, r_s)).is_some_and(|claim| claim.holds(&arithmetic::BASE_POINT))
    }
}

/// Verdicts in the order of the items.
pub fn verify_digests(items: &[(&PublicKey, &[u8; 32], &[u8; 64])]) -> Vec<bool> {
    let claims: Vec<Option<Claim<'_>>> = items.iter().map(claim).collect();
    arithmetic::hold_all(&claims)
}

/// The same on the scalar path.
pub fn verify_digests_portable(items: &[(&PublicKey, &[u8; 32], &[u8; 64])]) -> Vec<bool> {
    items.iter().map(|(key, e, r_s)| key.verify_digest(e, r_s)).collect()
}

/// `None` where r or s is beyond the order.
fn claim<'k>((key, e, r_s): &(&'k PublicKey, &[u8; 32], &[u8; 64])) -> Option<Claim<'k>> {
    let (r, s) = r_s.split_first_chunk()?;
    Some(Claim {
        key: &key.0,
        e: Scalar::from_bytes_reduced(e),
        r: Scalar::from_bytes(r)?,
        s: Scalar::from_bytes(s.first_chunk()?)?,
    })
}
