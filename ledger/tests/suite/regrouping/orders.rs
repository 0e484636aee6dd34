//! Orders to add and remove groups: refused, broken off, given twice.

use ledger::hopping::regrouping::{Order, Standing};
use ledger::store::Store;
use ledger::store::postgres::{GroupSettings, Host, MoveStep, make};
use ledger_model::ShardCount;

use super::site::{Process, Site, add, ended, remove, runtime, shard};
use crate::bank::{first_of, payment};
use crate::server::{PORT, USER, for_everybody};

const LAYOUT: [(&str, &[u8]); 2] = [("a", &[0, 1]), ("b", &[2, 3])];

fn check_refused(process: &Process, order: Order, expected: &str) {
    let before = process.shards();
    match ended(process.regrouping.order(order)) {
        Standing::Refused(why) => assert!(why.contains(expected), "{why}"),
        other => panic!("{expected}: {other:?}"),
    }
    let after = process.shards();
    let named = after.strip_prefix(&before).unwrap();
    assert!(!named.contains(char::is_numeric), "{before} and then {after}");
}

#[test]
fn what_cannot_be_done_is_refused_and_nothing_moves() {
    let site = Site::over(&[for_everybody()], &["a", "b", "strange"]);
    let strange = std::sync::Arc::new(site.groups[2].settings.clone());
    make(
        &strange,
        ShardCount::new(2).unwrap(),
        ShardCount::new(2).unwrap().shard(0).unwrap(),
    )
    .unwrap();
    let nowhere = Host {
        name: "/nowhere/at/all".to_owned(),
        port: PORT,
    };
    site.write(GroupSettings::of("away", nowhere, "ledger", USER));
    let process = site.process(&LAYOUT, 10_000);
    check_refused(&process, add("none"), "the configuration has no group none");
    check_refused(&process, remove("none"), "the configuration has no group none");
    check_refused(&process, add("b"), "the group b is there already, with shards 2, 3");
    check_refused(
        &process,
        add("strange"),
        "the group strange cannot be used: the store was created for shard",
    );
    check_refused(
        &process,
        add("away"),
        "the group away cannot be used: the store cannot be reached",
    );
    let alone = Site::over(&[for_everybody()], &["a"]).process(&[("a", &[0, 1, 2, 3])], 10_000);
    check_refused(&alone, remove("a"), "a is the last group that holds shards");
}

#[test]
fn one_order_at_a_time_and_the_same_again_listens() {
    let site = Site::over(&[for_everybody()], &["a", "b", "c"]);
    let process = site.process(&LAYOUT, 10_000);
    // the shard that is to move is held, so the order is not over before the next is given
    let mut holds = site.groups[0].open(shard(1));
    holds.begin().unwrap();
    let first = process.regrouping.order(add("c"));
    check_refused(
        &process,
        remove("b"),
        "shards are moving for the group c now; wait for it",
    );
    let again = process.regrouping.order(add("c"));
    holds.abandon();
    drop(holds);
    let (first, again) = (ended(first), ended(again));
    assert_eq!(first, again);
    assert!(matches!(first, Standing::Done(_)), "{first:?}");
    assert_eq!(process.shards(), "a 0, b 2 3, c 1");
    // once more: what lies behind is looked for, and nothing moves
    assert_eq!(ended(process.regrouping.order(add("c"))), Standing::Done(Vec::new()));
    assert_eq!(process.shards(), "a 0, b 2 3, c 1");
}

/// Broken off as soon as it has come to a step, and ordered again by another process.
fn check_broken_off(step: MoveStep) {
    let site = Site::over(&[for_everybody()], &["a", "b", "c"]);
    let first = site.process(&LAYOUT, 10_000);
    let runtime = runtime();
    let number = first_of(shard(1));
    runtime.block_on(first.running.load([number].into_iter(), "CNY1000.00"));
    let (before, _) = runtime.block_on(first.decided(&payment(1, number, 100)));
    let mut standing = first.regrouping.order(add("c"));
    runtime.block_on(async {
        let reached = |standing: &Standing| match standing {
            Standing::Moving(moving) => moving.progress.is_some_and(|progress| progress.step == step),
            other => other.is_over(),
        };
        let waited = tokio::time::timeout(crate::bank::WAIT, standing.wait_for(reached)).await;
        waited.unwrap().unwrap();
    });
    first.regrouping.stop();
    let broken_off = standing.borrow().clone();
    assert!(
        matches!(broken_off, Standing::BrokeOff(_) | Standing::Done(_)),
        "{broken_off:?}"
    );
    // wherever it is, the shard is in use
    runtime.block_on(first.decided(&payment(2, number, 100)));

    let second = site.process(&[LAYOUT[0], LAYOUT[1], ("c", &[])], 10_000);
    runtime.block_on(second.decided(&payment(3, number, 100)));
    let over = ended(second.regrouping.order(add("c")));
    assert!(matches!(over, Standing::Done(_) | Standing::Refused(_)), "{over:?}");
    for process in [&second, &first] {
        assert_eq!(
            runtime.block_on(process.decided(&payment(1, number, 100))),
            (before.clone(), true)
        );
        process.waits_for_shards("a 0, b 2 3, c 1");
        process.check_no_faults();
    }
    second.journal(shard(1));
    let rows = "SELECT count(*) FROM ledger.frame WHERE shard = 1";
    assert_eq!(
        [site.groups[0].sql(rows), site.groups[2].sql(rows)].map(|count| count != "0"),
        [false, true]
    );
}

#[test]
fn an_order_that_broke_off_anywhere_goes_on_when_it_is_given_again() {
    for step in [
        MoveStep::Copying,
        MoveStep::CatchingUp,
        MoveStep::HandingOver,
        MoveStep::Clearing,
    ] {
        check_broken_off(step);
    }
}
