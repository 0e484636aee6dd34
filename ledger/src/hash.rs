//! Hashing for maps in memory whose keys are names and tokens: several times as fast as the standard library's, and
//! seeded anew by every process, since strangers choose some of the names. Nothing that is written down depends on it.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64_with_seed;

static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

pub type FastMap<K, V> = HashMap<K, V, FastState>;
pub type FastSet<K> = HashSet<K, FastState>;

#[derive(Debug, Clone, Copy)]
pub struct FastState(u64);

#[derive(Debug, Clone, Copy)]
pub struct FastHasher(u64);

impl Default for FastState {
    fn default() -> Self {
        Self(*SEED)
    }
}

impl BuildHasher for FastState {
    type Hasher = FastHasher;

    fn build_hasher(&self) -> FastHasher {
        FastHasher(self.0)
    }
}

impl FastHasher {
    fn mix(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(ODD).rotate_left(29);
    }
}

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(u64::try_from(number).unwrap_or(u64::MAX));
    }
}
