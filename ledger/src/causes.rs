//! Faults in words, for people.

use std::error::Error;

/// A fault and everything that lies behind it, in one line.
pub(crate) fn with_causes(fault: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(fault.source(), |cause| (*cause).source());
    causes.fold(fault.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn every_cause_is_told_in_order() {
        let root = Layer("the disk is full", None);
        let middle = Layer("a file could not be written", Some(Box::new(root)));
        let told = with_causes(&Layer("nothing was released", Some(Box::new(middle))));
        assert_eq!(
            told,
            "nothing was released: a file could not be written: the disk is full"
        );
    }
}
