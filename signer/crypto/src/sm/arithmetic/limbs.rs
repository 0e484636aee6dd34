//! 256-bit integers as four 64-bit limbs, little-endian: what field and scalars are made of.
//!
//! No branch and no index depends on a value.

pub(super) type Limbs = [u64; 4];

/// Sum and carry.
#[inline(always)]
pub(super) fn add(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (r0, c) = a[0].carrying_add(b[0], false);
    let (r1, c) = a[1].carrying_add(b[1], c);
    let (r2, c) = a[2].carrying_add(b[2], c);
    let (r3, c) = a[3].carrying_add(b[3], c);
    ([r0, r1, r2, r3], c)
}

/// Difference and borrow.
#[inline(always)]
pub(super) fn sub(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (r0, c) = a[0].borrowing_sub(b[0], false);
    let (r1, c) = a[1].borrowing_sub(b[1], c);
    let (r2, c) = a[2].borrowing_sub(b[2], c);
    let (r3, c) = a[3].borrowing_sub(b[3], c);
    ([r0, r1, r2, r3], c)
}

/// All ones when `condition` holds, else zero.
#[inline(always)]
pub(super) fn mask(condition: bool) -> u64 {
    0u64.wrapping_sub(u64::from(condition))
}

/// `yes` under a mask of all ones, `no` under zero.
#[inline(always)]
pub(super) fn select(mask: u64, yes: &Limbs, no: &Limbs) -> Limbs {
    [
        no[0] ^ (mask & (yes[0] ^ no[0])),
        no[1] ^ (mask & (yes[1] ^ no[1])),
        no[2] ^ (mask & (yes[2] ^ no[2])),
        no[3] ^ (mask & (yes[3] ^ no[3])),
    ]
}

/// r + carry·2^256, below 2·modulus, to below the modulus.
#[inline(always)]
pub(super) fn reduce_once(r: &Limbs, carry: bool, modulus: &Limbs) -> Limbs {
    let (less, borrow) = sub(r, modulus);
    select(mask(borrow) & !mask(carry), r, &less)
}

/// a − b mod modulus, for both below it.
#[inline(always)]
pub(super) fn sub_mod(a: &Limbs, b: &Limbs, modulus: &Limbs) -> Limbs {
    let (r, borrow) = sub(a, b);
    let mask = mask(borrow);
    add(
        &r,
        &[
            modulus[0] & mask,
            modulus[1] & mask,
            modulus[2] & mask,
            modulus[3] & mask,
        ],
    )
    .0
}

#[inline(always)]
pub(super) fn is_zero(a: &Limbs) -> bool {
    (a[0] | a[1] | a[2] | a[3]) == 0
}

/// 256 × 256 → 512 bits, schoolbook.
#[inline(always)]
pub(super) fn mul_wide(a: &Limbs, b: &Limbs) -> [u64; 8] {
    let mut t = [0u64; 8];
    let mut c;
    (t[0], c) = a[0].carrying_mul(b[0], 0);
    (t[1], c) = a[0].carrying_mul(b[1], c);
    (t[2], c) = a[0].carrying_mul(b[2], c);
    (t[3], t[4]) = a[0].carrying_mul(b[3], c);
    (t[1], c) = a[1].carrying_mul_add(b[0], t[1], 0);
    (t[2], c) = a[1].carrying_mul_add(b[1], t[2], c);
    (t[3], c) = a[1].carrying_mul_add(b[2], t[3], c);
    (t[4], t[5]) = a[1].carrying_mul_add(b[3], t[4], c);
    (t[2], c) = a[2].carrying_mul_add(b[0], t[2], 0);
    (t[3], c) = a[2].carrying_mul_add(b[1], t[3], c);
    (t[4], c) = a[2].carrying_mul_add(b[2], t[4], c);
    (t[5], t[6]) = a[2].carrying_mul_add(b[3], t[5], c);
    (t[3], c) = a[3].carrying_mul_add(b[0], t[3], 0);
    (t[4], c) = a[3].carrying_mul_add(b[1], t[4], c);
    (t[5], c) = a[3].carrying_mul_add(b[2], t[5], c);
    (t[6], t[7]) = a[3].carrying_mul_add(b[3], t[6], c);
    t
}

/// a², with each product of two different limbs computed once.
#[inline(always)]
pub(super) fn square_wide(a: &Limbs) -> [u64; 8] {
    let mut t = [0u64; 8];
    let mut c;
    (t[1], c) = a[0].carrying_mul(a[1], 0);
    (t[2], c) = a[0].carrying_mul(a[2], c);
    (t[3], t[4]) = a[0].carrying_mul(a[3], c);
    (t[3], c) = a[1].carrying_mul_add(a[2], t[3], 0);
    (t[4], t[5]) = a[1].carrying_mul_add(a[3], t[4], c);
    (t[5], t[6]) = a[2].carrying_mul_add(a[3], t[5], 0);
    t[7] = t[6] >> 63;
    t[6] = (t[6] << 1) | (t[5] >> 63);
    t[5] = (t[5] << 1) | (t[4] >> 63);
    t[4] = (t[4] << 1) | (t[3] >> 63);
    t[3] = (t[3] << 1) | (t[2] >> 63);
    t[2] = (t[2] << 1) | (t[1] >> 63);
    t[1] <<= 1;
    let (low0, high0) = a[0].carrying_mul(a[0], 0);
    let (low1, high1) = a[1].carrying_mul(a[1], 0);
    let (low2, high2) = a[2].carrying_mul(a[2], 0);
    let (low3, high3) = a[3].carrying_mul(a[3], 0);
    let mut k;
    t[0] = low0;
    (t[1], k) = t[1].carrying_add(high0, false);
    (t[2], k) = t[2].carrying_add(low1, k);
    (t[3], k) = t[3].carrying_add(high1, k);
    (t[4], k) = t[4].carrying_add(low2, k);
    (t[5], k) = t[5].carrying_add(high2, k);
    (t[6], k) = t[6].carrying_add(low3, k);
    (t[7], _) = t[7].carrying_add(high3, k);
    t
}

/// From 32 big-endian bytes.
pub(super) fn from_bytes(bytes: &[u8; 32]) -> Limbs {
    let (words, _) = bytes.as_chunks::<8>();
    let mut limbs = [0; 4];
    for (limb, word) in limbs.iter_mut().rev().zip(words) {
        *limb = u64::from_be_bytes(*word);
    }
    limbs
}

/// To 32 big-endian bytes.
pub(super) fn to_bytes(limbs: &Limbs) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (words, _) = bytes.as_chunks_mut::<8>();
    for (word, limb) in words.iter_mut().zip(limbs.iter().rev()) {
        *word = limb.to_be_bytes();
    }
    bytes
}

/// All ones when both are the same, else zero.
#[inline(always)]
pub(super) fn mask_equal(a: u64, b: u64) -> u64 {
    let difference = a ^ b;
    // the top bit of d | −d is set for every d but zero
    ((difference | difference.wrapping_neg()) >> 63).wrapping_sub(1)
}
