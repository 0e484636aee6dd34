//! Where an item lies in the log of its shard.

/// Number of the segment, from 1, and the item's offset in it. Segment 0 stands for a place in the group at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Location(u64);

impl Location {
    pub(super) fn new(segment: u32, offset: u32) -> Self {
        Self(u64::from(segment) << 32 | u64::from(offset))
    }

    pub(super) fn within_group(place: u32) -> Self {
        Self::new(0, place)
    }

    pub(super) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }

    pub(super) fn segment(self) -> u32 {
        u32::try_from(self.0 >> 32).expect("half of 64 bits")
    }

    pub(super) fn offset(self) -> u32 {
        u32::try_from(self.0 & u64::from(u32::MAX)).expect("half of 64 bits")
    }

    /// The place in the group at hand, where this is one.
    pub(super) fn place_in_group(self) -> Option<u32> {
        (self.segment() == 0).then(|| self.offset())
    }
}
