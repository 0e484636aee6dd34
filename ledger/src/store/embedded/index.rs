//! The idempotency index: where the item of a transfer lies, found by its key.
//!
//! ```text
//!   day in the key's id ──▶ 64 maps, hash of key ──▶ location        sums refunded, location ──▶ minor units
//! ```
//!
//! Only hashes are held; whoever finds a location reads the item there and compares the key. Two keys with one hash are
//! both found. Days are dropped whole when they expire. Shared: the shard's thread writes, every shard reads. A map is
//! small, so that its growing never holds up a commit.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::frame::{KeyDigest, Refunded};
use super::location::Location;

/// Maps of one day.
pub(super) const PARTS: usize = 64;

/// What is hashed already.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type Map = HashMap<u64, u64, BuildHasherDefault<Hashed>>;

#[derive(Debug, Default)]
pub(super) struct Index {
    days: RwLock<BTreeMap<u32, Day>>,
}

#[derive(Debug)]
struct Day {
    parts: Vec<RwLock<Map>>,
    /// Locations whose hash another has in the maps.
    further: RwLock<Vec<(u64, u64)>>,
    refunded: RwLock<BTreeMap<u64, i64>>,
}

/// One kind of what a day holds; copied in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Part(usize),
    Further,
    Refunded,
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    // nothing that could panic is done under these locks
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Day {
    fn new() -> Self {
        Self {
            parts: (0..PARTS).map(|_| RwLock::default()).collect(),
            further: RwLock::default(),
            refunded: RwLock::default(),
        }
    }

    /// By bits that the maps themselves use little.
    fn part(&self, hash: u64) -> &RwLock<Map> {
        let place = usize::try_from(hash >> 32).expect("a machine word has 64 bits") % PARTS;
        self.parts.get(place).expect("a remainder is within the parts")
    }

    fn insert(&self, hash: u64, location: u64) {
        let mut part = write(self.part(hash));
        match part.get(&hash) {
            None => {
                part.insert(hash, location);
            }
            // a group may be applied again
            Some(known) if *known == location => {}
            Some(_) => {
                let mut further = write(&self.further);
                if !further.contains(&(hash, location)) {
                    further.push((hash, location));
                }
            }
        }
    }
}

impl Day {
    fn forget_before(&self, first: u64) {
        for part in &self.parts {
            write(part).retain(|_, location| *location >= first);
        }
        write(&self.refunded).retain(|location, _| *location >= first);
        // one of them may take the place of what is forgotten
        let further = std::mem::take(&mut *write(&self.further));
        for (hash, location) in further {
            if location >= first {
                self.insert(hash, location);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| read(part).is_empty()) && read(&self.refunded).is_empty()
    }
}

impl Index {
    /// May be said again of the same key and location.
    pub(super) fn insert(&self, key: KeyDigest, location: Location) {
        self.with_day(key.day, |day| day.insert(key.hash, location.number()));
    }

    pub(super) fn set_refunded(&self, refunded: Refunded) {
        let Refunded { day, location, minor } = refunded;
        self.with_day(day, |day| {
            write(&day.refunded).insert(location.number(), minor);
        });
    }

    fn with_day(&self, number: u32, task: impl FnOnce(&Day)) {
        if let Some(day) = read(&self.days).get(&number) {
            return task(day);
        }
        task(write(&self.days).entry(number).or_insert_with(Day::new));
    }

    /// Places among `keys` of those of which items may be here, in order.
    ///
    /// Whole groups ask: nearly none of their keys is here, and look-ups that do not wait for one another are several
    /// times as fast.
    pub(super) fn held(&self, keys: &[KeyDigest]) -> Vec<usize> {
        let days = read(&self.days);
        let mut last: Option<(u32, Option<&Day>)> = None;
        let is_held = |key: &KeyDigest| {
            let day = match last {
                Some((number, day)) if number == key.day => day,
                _ => days.get(&key.day),
            };
            last = Some((key.day, day));
            day.is_some_and(|day| read(day.part(key.hash)).contains_key(&key.hash))
        };
        let held = keys.iter().map(is_held).enumerate();
        held.filter_map(|(place, held)| held.then_some(place)).collect()
    }

    /// Where items of this key may lie, usually one or none.
    pub(super) fn candidates(&self, key: KeyDigest) -> impl Iterator<Item = Location> {
        let (mut first, mut others) = (None, Vec::new());
        if let Some(day) = read(&self.days).get(&key.day) {
            first = read(day.part(key.hash)).get(&key.hash).copied();
            if first.is_some() {
                let further = read(&day.further);
                let same = further.iter().filter(|(hash, _)| *hash == key.hash);
                others.extend(same.map(|(_, location)| *location));
            }
        }
        first.into_iter().chain(others).map(Location::from_number)
    }

    /// Minor units refunded of the transfer whose item lies there.
    pub(super) fn refunded(&self, day: u32, location: Location) -> i64 {
        let days = read(&self.days);
        let sum = days
            .get(&day)
            .and_then(|day| read(&day.refunded).get(&location.number()).copied());
        sum.unwrap_or(0)
    }

    /// Forgets the days before `first`.
    pub(super) fn expire_before(&self, first: u32) {
        let is_due = read(&self.days).keys().next().is_some_and(|day| *day < first);
        if is_due {
            let mut days = write(&self.days);
            let kept = days.split_off(&first);
            let expired = std::mem::replace(&mut *days, kept);
            drop(days);
            // what expires is freed after the lock is
            drop(expired);
        }
    }

    /// Forgets whatever lies before that place, and days of which nothing is left. Called before anybody else reads.
    pub(super) fn forget_before(&self, first: Location) {
        let mut days = write(&self.days);
        for day in days.values() {
            day.forget_before(first.number());
        }
        days.retain(|_, day| !day.is_empty());
    }

    /// Of every segment in which anything lies that is held: the latest day of it.
    pub(super) fn latest_days(&self) -> BTreeMap<u32, u32> {
        let mut latest: BTreeMap<u32, u32> = BTreeMap::new();
        let pieces = || (0..PARTS).map(Piece::Part).chain([Piece::Further, Piece::Refunded]);
        for number in self.days() {
            // a piece at a time, so that whoever begins a day does not wait for long
            for piece in pieces() {
                self.each_location(number, piece, |location| {
                    let known = latest.entry(Location::from_number(location).segment()).or_default();
                    *known = (*known).max(number);
                });
            }
        }
        latest
    }

    fn each_location(&self, day: u32, piece: Piece, mut take: impl FnMut(u64)) {
        let days = read(&self.days);
        let Some(day) = days.get(&day) else {
            return;
        };
        match piece {
            Piece::Part(number) => {
                if let Some(part) = day.parts.get(number) {
                    read(part).values().copied().for_each(&mut take);
                }
            }
            Piece::Further => read(&day.further)
                .iter()
                .map(|(_, location)| *location)
                .for_each(&mut take),
            Piece::Refunded => read(&day.refunded).keys().copied().for_each(&mut take),
        }
    }

    pub(super) fn days(&self) -> Vec<u32> {
        read(&self.days).keys().copied().collect()
    }

    /// The pairs of numbers one piece is made of; none where the day has expired.
    pub(super) fn piece(&self, day: u32, piece: Piece) -> Vec<(u64, u64)> {
        let days = read(&self.days);
        let Some(day) = days.get(&day) else {
            return Vec::new();
        };
        match piece {
            Piece::Part(number) => day
                .parts
                .get(number)
                .map(|part| read(part).iter().map(|(hash, location)| (*hash, *location)).collect())
                .unwrap_or_default(),
            Piece::Further => read(&day.further).clone(),
            Piece::Refunded => {
                let refunded = read(&day.refunded);
                let pairs = refunded.iter();
                pairs
                    .map(|(location, minor)| (*location, minor.cast_unsigned()))
                    .collect()
            }
        }
    }

    /// Takes a piece back in.
    pub(super) fn restore(&self, day: u32, piece: Piece, pairs: &[(u64, u64)]) {
        self.with_day(day, |day| match piece {
            Piece::Part(number) => {
                if let Some(part) = day.parts.get(number) {
                    write(part).reserve(pairs.len());
                }
                for (hash, location) in pairs {
                    day.insert(*hash, *location);
                }
            }
            Piece::Further => {
                for (hash, location) in pairs {
                    day.insert(*hash, *location);
                }
            }
            Piece::Refunded => {
                let sums = pairs.iter().map(|(location, minor)| (*location, minor.cast_signed()));
                write(&day.refunded).extend(sums);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> Location {
        Location::from_number(number)
    }

    fn found(index: &Index, day: u32, hash: u64) -> Vec<u64> {
        index
            .candidates(KeyDigest { day, hash })
            .map(Location::number)
            .collect()
    }

    #[test]
    fn keys_of_one_hash_are_all_found_and_days_expire_whole() {
        let index = Index::default();
        let key = |day, hash| KeyDigest { day, hash };
        for _ in 0..2 {
            index.insert(key(20_260_302, 7), at(1 << 32));
            index.insert(key(20_260_302, 7), at(2 << 32));
            index.insert(key(20_260_303, 7), at(3 << 32));
        }
        index.set_refunded(Refunded {
            day: 20_260_302,
            location: at(1 << 32),
            minor: 5,
        });
        assert_eq!(found(&index, 20_260_302, 7), [1 << 32, 2 << 32]);
        assert_eq!(found(&index, 20_260_303, 7), [3 << 32]);
        assert_eq!(found(&index, 20_260_302, 8), Vec::<u64>::new());
        let latest = index.latest_days().into_iter().collect::<Vec<_>>();
        assert_eq!(latest, [(1, 20_260_302), (2, 20_260_302), (3, 20_260_303)]);
        let asked = [
            key(20_260_302, 8),
            key(20_260_302, 7),
            key(20_260_303, 8),
            key(20_260_303, 7),
            key(20_260_304, 7),
        ];
        assert_eq!(index.held(&asked), [1, 3]);
        let copy = Index::default();
        for day in index.days() {
            for piece in (0..PARTS).map(Piece::Part).chain([Piece::Further, Piece::Refunded]) {
                copy.restore(day, piece, &index.piece(day, piece));
            }
        }
        assert_eq!(found(&copy, 20_260_302, 7), [1 << 32, 2 << 32]);
        assert_eq!(copy.refunded(20_260_302, at(1 << 32)), 5);
        copy.forget_before(at(2 << 32));
        assert_eq!(found(&copy, 20_260_302, 7), [2 << 32], "the other one of the hash");
        assert_eq!(copy.refunded(20_260_302, at(1 << 32)), 0);
        copy.forget_before(at(3 << 32));
        assert_eq!(copy.days(), [20_260_303]);
        copy.expire_before(20_260_303);
        assert_eq!(found(&copy, 20_260_302, 7), Vec::<u64>::new());
        assert_eq!(copy.refunded(20_260_302, at(1 << 32)), 0);
        assert_eq!(found(&copy, 20_260_303, 7), [3 << 32]);
    }
}
