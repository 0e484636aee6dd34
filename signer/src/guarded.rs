//! A panic in a batch fails what panics by itself and nothing else. The panic hook has reported it; the keys are never
//! changed by work, so none is left half-changed.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Outcomes of a stage over all items at once. After a panic each item is done by itself, and what panics again has
/// no outcome. A stage gives as many outcomes as it got items.
pub(crate) fn guarded_all<I, O>(items: &[I], stage: impl Fn(&[I]) -> Vec<O>) -> Vec<Option<O>> {
    if let Some(outcomes) = guarded(|| stage(items)) {
        return outcomes.into_iter().map(Some).collect();
    }
    let singly = items
        .iter()
        .map(|item| guarded(|| stage(std::slice::from_ref(item))).and_then(|mut outcomes| outcomes.pop()));
    singly.collect()
}

/// None after a panic.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_panics_alone_fails() {
        #[track_caller]
        fn check(items: &[u8], expected: &[Option<u8>]) {
            let stage = |items: &[u8]| {
                assert!(!items.contains(&13), "poison");
                items.iter().map(|item| item + 1).collect()
            };
            assert_eq!(guarded_all(items, stage), expected);
        }
        check(&[], &[]);
        check(&[1, 2], &[Some(2), Some(3)]);
        check(&[1, 13, 3], &[Some(2), None, Some(4)]);
        check(&[13], &[None]);
    }
}
