//! Tests of the matching, by cases and by properties.

use proptest::prelude::*;

use super::*;
use crate::sample;

const SUCCESS: TransferStatus = TransferStatus::Success;
const FAILED: TransferStatus = TransferStatus::Failed;

fn own(number: u64) -> OwnTransfer {
    let (transfer, _) = sample::transfer(TransferKind::Payment, number, 500);
    OwnTransfer {
        name: TransferName {
            id: transfer.key.id,
            category: transfer.key.category,
        },
        batch: sample::batch(1),
        amount: transfer.amount,
        kind: transfer.kind,
        institution: sample::institution(1),
        status: SUCCESS,
        serial: transfer.serial,
    }
}

fn line(number: u64) -> StatementLine {
    let own = own(number);
    StatementLine {
        name: own.name,
        batch: own.batch,
        amount: own.amount,
        direction: Side::Debit,
        institution: own.institution,
        status: own.status,
        serial: Some(own.serial),
    }
}

fn matched(own: Vec<OwnTransfer>, lines: Vec<StatementLine>) -> Matching {
    match_lines(own, lines, &[sample::batch(1), sample::batch(2)].into()).unwrap()
}

fn classes(matching: &Matching) -> Vec<&'static str> {
    matching
        .differences
        .iter()
        .map(|difference| difference.class.name())
        .collect()
}

fn check(own: Vec<OwnTransfer>, lines: Vec<StatementLine>, agreed: u64, expected: &[&str]) {
    let matching = matched(own, lines);
    assert_eq!((matching.matched, classes(&matching)), (agreed, expected.to_vec()));
}

#[test]
fn every_class_of_difference() {
    check(vec![own(1), own(2)], vec![line(2), line(1)], 2, &[]);
    check(vec![], vec![line(1)], 0, &["missing_here"]);
    check(vec![own(1)], vec![], 0, &["missing_there"]);
    check(vec![own(1)], vec![line(1), line(1)], 1, &["duplicate_in_statement"]);
    let stated = |change: fn(&mut StatementLine), expected: &str| {
        let mut changed = line(1);
        change(&mut changed);
        check(vec![own(1)], vec![changed], 0, &[expected]);
    };
    stated(|line| line.batch = sample::batch(2), "batch_differs");
    stated(|line| line.amount = sample::amount(501), "amount_differs");
    stated(|line| line.status = FAILED, "status_differs");
    stated(|line| line.direction = Side::Credit, "direction_differs");
    stated(|line| line.institution = sample::institution(2), "institution_differs");
    stated(|line| line.serial = Some(own(2).serial), "serial_differs");
}

#[test]
fn a_refusal_is_no_success_and_an_unstated_serial_is_no_difference() {
    let refused = OwnTransfer {
        status: FAILED,
        ..own(1)
    };
    check(vec![refused], vec![line(1)], 0, &["status_differs"]);
    let unstated = StatementLine {
        serial: None,
        ..line(1)
    };
    check(vec![own(1)], vec![unstated], 1, &[]);
}

#[test]
fn a_pair_is_one_difference_and_shows_both_sides() {
    let theirs = StatementLine {
        amount: sample::amount(700),
        status: FAILED,
        ..line(1)
    };
    let matching = matched(vec![own(1)], vec![theirs]);
    let [difference] = matching.differences.as_slice() else {
        panic!("{matching:?}")
    };
    assert_eq!(difference.class, DifferenceClass::AmountDiffers);
    assert_eq!(difference.ours.unwrap().amount.minor(), 500);
    assert_eq!(difference.theirs.unwrap().amount.minor(), 700);
    assert_eq!(difference.theirs.unwrap().status, Some(FAILED));
}

#[test]
fn the_line_that_agrees_best_claims() {
    let elsewhere = StatementLine {
        batch: sample::batch(2),
        ..line(1)
    };
    let dearer = StatementLine {
        amount: sample::amount(700),
        ..line(1)
    };
    check(
        vec![own(1)],
        vec![elsewhere.clone(), line(1)],
        1,
        &["duplicate_in_statement"],
    );
    check(
        vec![own(1)],
        vec![elsewhere, dearer],
        0,
        &["duplicate_in_statement", "amount_differs"],
    );
    check(
        vec![],
        vec![line(1), line(1)],
        0,
        &["missing_here", "duplicate_in_statement"],
    );
    check(vec![own(1), own(1)], vec![line(1)], 1, &["missing_there"]);
}

#[test]
fn what_could_not_be_read_is_not_held_against_anyone() {
    let unread = OwnTransfer {
        batch: sample::batch(3),
        ..own(1)
    };
    let matching = matched(vec![unread.clone(), own(2)], vec![line(2)]);
    assert_eq!(
        (matching.matched, matching.not_compared, classes(&matching)),
        (1, 1, vec![])
    );
    // but a line for it in a file that was read is a difference
    check(vec![unread], vec![line(1)], 0, &["batch_differs"]);
}

#[test]
fn differences_explain_the_net() {
    let moved = StatementLine {
        batch: sample::batch(2),
        ..line(1)
    };
    let explained = matched(vec![own(1)], vec![moved]).explained;
    let sums: Vec<_> = explained.values().map(|sum| sum.minor()).collect();
    assert_eq!(
        sums,
        [500, -500],
        "taken from what we owe in one batch, added in the other"
    );
    let failed = StatementLine {
        status: FAILED,
        ..line(1)
    };
    assert_eq!(
        matched(vec![own(1)], vec![failed])
            .explained
            .values()
            .next()
            .unwrap()
            .minor(),
        500
    );
    assert_eq!(
        matched(vec![], vec![line(1)])
            .explained
            .values()
            .next()
            .unwrap()
            .minor(),
        -500
    );
    assert!(matched(vec![own(1)], vec![line(1)]).explained.is_empty());
}

#[test]
fn class_names_are_distinct() {
    let names: BTreeSet<_> = DifferenceClass::ALL.map(DifferenceClass::name).into();
    assert_eq!(names.len(), DifferenceClass::ALL.len());
    assert!(DifferenceClass::ALL.is_sorted());
}

fn any_own() -> impl Strategy<Value = OwnTransfer> {
    (0..6_u64, 1..4_u64, 1..3_i64, any::<bool>()).prop_map(|(number, batch, minor, success)| OwnTransfer {
        batch: sample::batch(batch),
        amount: sample::amount(minor),
        status: if success { SUCCESS } else { FAILED },
        ..own(number)
    })
}

fn any_line() -> impl Strategy<Value = StatementLine> {
    (0..6_u64, 1..3_u64, 1..3_i64, any::<bool>()).prop_map(|(number, batch, minor, success)| StatementLine {
        batch: sample::batch(batch),
        amount: sample::amount(minor),
        status: if success { SUCCESS } else { FAILED },
        ..line(number)
    })
}

proptest! {
    #[test]
    fn each_is_claimed_once(
        own in prop::collection::vec(any_own(), 0..20),
        lines in prop::collection::vec(any_line(), 0..20),
    ) {
        let matching = matched(own.clone(), lines.clone());
        let count = |side: fn(&Difference) -> bool| matching.differences.iter().filter(|one| side(one)).count();
        let agreed = usize::try_from(matching.matched).unwrap();
        let unread = usize::try_from(matching.not_compared).unwrap();
        prop_assert_eq!(agreed + unread + count(|one| one.ours.is_some()), own.len());
        prop_assert_eq!(agreed + count(|one| one.theirs.is_some()), lines.len());
    }

    #[test]
    fn order_does_not_matter(
        own in prop::collection::vec(any_own(), 0..12),
        lines in prop::collection::vec(any_line(), 0..12),
    ) {
        let (mut own_back, mut lines_back) = (own.clone(), lines.clone());
        own_back.reverse();
        lines_back.reverse();
        let (forth, back) = (matched(own, lines), matched(own_back, lines_back));
        prop_assert_eq!(forth.matched, back.matched);
        prop_assert_eq!(classes(&forth), classes(&back));
        prop_assert_eq!(forth.explained, back.explained);
    }

    #[test]
    fn what_is_explained_is_the_networks_net_less_ours(
        own in prop::collection::vec(any_own(), 0..12),
        lines in prop::collection::vec(any_line(), 0..12),
    ) {
        let read: BTreeSet<_> = (1..4).map(sample::batch).collect();
        let matching = match_lines(own.clone(), lines.clone(), &read).unwrap();
        for batch in read {
            let ours: i64 = own.iter().filter(|one| one.batch == batch).map(|one| one.effect().unwrap().minor()).sum();
            let of_line = |one: &StatementLine| effect(one.amount, one.direction, one.status).unwrap().minor();
            let theirs: i64 = lines.iter().filter(|one| one.batch == batch).map(of_line).sum();
            let held = matching.explained.get(&(batch, Currency::CNY)).map_or(0, |sum| sum.minor());
            prop_assert_eq!(held, theirs - ours);
        }
    }
}
