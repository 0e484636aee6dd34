//! Which keys of a range are in the table, so that what is certainly not there is not asked for.
//!
//! Most accounts have no limits of their own, and most agreements are used once a day at the most: of the rows that an
//! order may touch, the greater part is not there. So of the ranges in use, a shard's limits and its usages of a day, the
//! keys that are in the table are remembered by their hash. A key of such a range that is not among them is in the
//! table only if it is pending: whatever comes into the table was pending here before ([`super::Held`]). Two keys of one hash
//! cost a question.
//!
//! A range of which the table has more keys than are read at once is not remembered: its keys are asked for one by one.

use std::hash::BuildHasher;

use super::keys::{LIMITS, USAGE};
use crate::hash::{FastSet, FastState};

/// The limits of a shard, and the usages of this day and of a few that are late.
const RANGES_MAX: usize = 6;
/// Keys of a range that are read when it is first used; about 50 bytes each.
pub(in super::super) const READ_MAX: usize = 1 << 17;
/// Keys of a range that are remembered; about 16 bytes each.
const REMEMBERED_MAX: usize = 1 << 20;
/// Shard and kind.
const KIND_LENGTH: usize = 2;
/// Shard, kind and day.
const DAY_LENGTH: usize = 6;

/// Keys that begin with the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Range(Vec<u8>);

#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// The last used at the end.
    known: Vec<(Range, Keys)>,
}

#[derive(Debug)]
enum Keys {
    /// By hash: these and no others are in the table.
    All(FastSet<u64>),
    TooMany,
}

impl Range {
    fn of(key: &[u8]) -> Option<&[u8]> {
        match key.get(1) {
            Some(&LIMITS) => key.get(..KIND_LENGTH),
            Some(&USAGE) => key.get(..DAY_LENGTH),
            _ => None,
        }
    }

    pub(in super::super) fn first(&self) -> &[u8] {
        &self.0
    }

    /// Below which its keys lie.
    pub(in super::super) fn end(&self) -> Vec<u8> {
        let mut end = self.0.clone();
        while let Some(last) = end.pop() {
            if let Some(next) = last.checked_add(1) {
                end.push(next);
                break;
            }
        }
        end
    }
}

impl Ranges {
    /// Whether a key that is not pending is certainly not in the table.
    pub(super) fn lacks(&self, key: &[u8]) -> bool {
        match Range::of(key).and_then(|range| self.find(range)) {
            Some(Keys::All(hashes)) => !hashes.contains(&hash(key)),
            Some(Keys::TooMany) | None => false,
        }
    }

    /// The ranges of these keys that nothing is known of yet; the others are in use.
    pub(super) fn unknown(&mut self, keys: &[Vec<u8>]) -> Vec<Range> {
        let mut used: Vec<&[u8]> = keys.iter().filter_map(|key| Range::of(key)).collect();
        used.sort_unstable();
        used.dedup();
        let mut unknown = Vec::new();
        for range in used {
            if let Some(place) = self.known.iter().position(|(known, _)| known.0 == range) {
                let last = self.known.remove(place);
                self.known.push(last);
            } else {
                unknown.push(Range(range.to_vec()));
            }
        }
        // no more than fit, or they would push each other out
        unknown.truncate(RANGES_MAX / 2);
        unknown
    }

    /// The first [`READ_MAX`] keys of a range, as they stand in the table.
    pub(super) fn learn<'a>(&mut self, range: Range, keys: impl ExactSizeIterator<Item = &'a [u8]>) {
        let keys = if keys.len() < READ_MAX {
            Keys::All(keys.map(hash).collect())
        } else {
            Keys::TooMany
        };
        self.known.push((range, keys));
        if self.known.len() > RANGES_MAX {
            self.known.remove(0);
        }
    }

    /// The key is in the table from now on.
    pub(super) fn written(&mut self, key: &[u8]) {
        let Some(range) = Range::of(key) else { return };
        let known = self.known.iter_mut().find(|(known, _)| known.0 == range);
        let Some((_, keys)) = known else { return };
        if let Keys::All(hashes) = keys {
            hashes.insert(hash(key));
            if hashes.len() > REMEMBERED_MAX {
                *keys = Keys::TooMany;
            }
        }
    }

    fn find(&self, range: &[u8]) -> Option<&Keys> {
        let known = self.known.iter().find(|(known, _)| known.0 == range);
        known.map(|(_, keys)| keys)
    }
}

fn hash(key: &[u8]) -> u64 {
    FastState::default().hash_one(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: u8 = 3;

    fn usage(day: u8, own: &[u8]) -> Vec<u8> {
        [&[SHARD, USAGE, 0, 0, 0, day], own].concat()
    }

    fn limits(own: &[u8]) -> Vec<u8> {
        [&[SHARD, LIMITS], own].concat()
    }

    fn learned(ranges: &mut Ranges, keys: &[Vec<u8>], in_table: &[Vec<u8>]) {
        for range in ranges.unknown(keys) {
            let end = range.end();
            let found = in_table
                .iter()
                .filter(|key| range.first() <= key.as_slice() && **key < end);
            let found: Vec<&[u8]> = found.map(Vec::as_slice).collect();
            ranges.learn(range, found.into_iter());
        }
    }

    fn check_lacks(ranges: &Ranges, key: &[u8], expected: bool) {
        assert_eq!(ranges.lacks(key), expected, "{key:?}");
    }

    #[test]
    fn what_a_range_that_was_read_does_not_have_is_lacking() {
        let mut ranges = Ranges::default();
        let (there, not_there) = (usage(7, b"a"), usage(7, b"b"));
        check_lacks(&ranges, &not_there, false);
        learned(
            &mut ranges,
            &[there.clone(), not_there.clone()],
            &[there.clone(), usage(8, b"b")],
        );
        check_lacks(&ranges, &there, false);
        check_lacks(&ranges, &not_there, true);
        // another day, and kinds that are not remembered
        check_lacks(&ranges, &usage(8, b"a"), false);
        check_lacks(&ranges, &limits(b"a"), false);
        check_lacks(&ranges, &[SHARD, 1, 9], false);
    }

    #[test]
    fn what_is_written_is_not_lacking_any_more() {
        let mut ranges = Ranges::default();
        let key = limits(b"account");
        learned(&mut ranges, std::slice::from_ref(&key), &[]);
        check_lacks(&ranges, &key, true);
        ranges.written(&usage(7, b"account"));
        check_lacks(&ranges, &key, true);
        ranges.written(&key);
        check_lacks(&ranges, &key, false);
    }

    #[test]
    fn a_range_that_is_too_long_is_asked_key_by_key() {
        let mut ranges = Ranges::default();
        let key = usage(7, b"not there");
        let range = ranges.unknown(std::slice::from_ref(&key)).remove(0);
        ranges.learn(range, std::iter::repeat_n(b"x".as_slice(), READ_MAX));
        check_lacks(&ranges, &key, false);
        assert_eq!(ranges.unknown(std::slice::from_ref(&key)), []);
    }

    #[test]
    fn the_range_that_was_used_longest_ago_makes_room() {
        let mut ranges = Ranges::default();
        let today = usage(0, b"a");
        for day in 1..=20 {
            learned(&mut ranges, &[today.clone(), usage(day, b"a")], &[]);
        }
        check_lacks(&ranges, &today, true);
        check_lacks(&ranges, &usage(20, b"a"), true);
        check_lacks(&ranges, &usage(1, b"a"), false);
        assert_eq!(ranges.known.len(), RANGES_MAX);
    }

    #[test]
    fn a_range_ends_where_the_next_begins() {
        let check = |first: &[u8], expected: &[u8]| assert_eq!(Range(first.to_vec()).end(), expected);
        check(&[3, 5], &[3, 6]);
        check(&[3, 3, 0, 0, 0, 255], &[3, 3, 0, 0, 1]);
    }
}
