//! Vectors of eight 64-bit words: in and out of memory, and a table's rows turned into lanes.

use core::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_set1_epi64, _mm512_shuffle_i64x2, _mm512_srai_epi64, _mm512_storeu_si512,
    _mm512_sub_epi64, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use std::hint::black_box;

use super::super::point::Affine;

/// A 64-byte row in each lane, which is what table entries are, becomes eight vectors.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(rows: &[__m512i; 8]) -> [__m512i; 8] {
    let [a, b, c, d, e, f, g, h] = *rows;
    let (ab0, ab1) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let (cd0, cd1) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
    let (ef0, ef1) = (_mm512_unpacklo_epi64(e, f), _mm512_unpackhi_epi64(e, f));
    let (gh0, gh1) = (_mm512_unpacklo_epi64(g, h), _mm512_unpackhi_epi64(g, h));
    // words 0 and 4 of four rows, then 2 and 6; the odd ones likewise
    let (abcd04, abcd26) = (
        _mm512_shuffle_i64x2::<0x88>(ab0, cd0),
        _mm512_shuffle_i64x2::<0xdd>(ab0, cd0),
    );
    let (abcd15, abcd37) = (
        _mm512_shuffle_i64x2::<0x88>(ab1, cd1),
        _mm512_shuffle_i64x2::<0xdd>(ab1, cd1),
    );
    let (efgh04, efgh26) = (
        _mm512_shuffle_i64x2::<0x88>(ef0, gh0),
        _mm512_shuffle_i64x2::<0xdd>(ef0, gh0),
    );
    let (efgh15, efgh37) = (
        _mm512_shuffle_i64x2::<0x88>(ef1, gh1),
        _mm512_shuffle_i64x2::<0xdd>(ef1, gh1),
    );
    [
        _mm512_shuffle_i64x2::<0x88>(abcd04, efgh04),
        _mm512_shuffle_i64x2::<0x88>(abcd15, efgh15),
        _mm512_shuffle_i64x2::<0x88>(abcd26, efgh26),
        _mm512_shuffle_i64x2::<0x88>(abcd37, efgh37),
        _mm512_shuffle_i64x2::<0xdd>(abcd04, efgh04),
        _mm512_shuffle_i64x2::<0xdd>(abcd15, efgh15),
        _mm512_shuffle_i64x2::<0xdd>(abcd26, efgh26),
        _mm512_shuffle_i64x2::<0xdd>(abcd37, efgh37),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(words: &[u64; 8]) -> __m512i {
    // SAFETY: 64 readable bytes; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// A table entry: x and y in four words each.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_entry(entry: &Affine) -> __m512i {
    const { assert!(size_of::<Affine>() == 64) }
    // SAFETY: a point is `repr(C)` and its eight words are all of its 64 bytes; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(core::ptr::from_ref(entry).cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store(vector: __m512i) -> [u64; 8] {
    let mut words = [0; 8];
    // SAFETY: 64 writable bytes; the store asks for no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) };
    words
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn all(word: i64) -> __m512i {
    _mm512_set1_epi64(word)
}

/// All ones in the words that are this number, zero in the rest; both are small and not negative.
///
/// Not a mask of the lanes: under one, a choice between entries becomes a masked load, of which no processor promises
/// that it reads what it masks away. The compiler cannot see through this one.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn words_equal(words: __m512i, number: i64) -> __m512i {
    let difference = _mm512_xor_si512(words, all(number));
    black_box(_mm512_srai_epi64::<63>(_mm512_sub_epi64(difference, all(1))))
}
