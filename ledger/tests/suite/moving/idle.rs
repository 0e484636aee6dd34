//! Nobody posts while the shard moves.

use ledger::outcome::Outcome;
use ledger::store::Store;
use ledger::store::postgres::{MoveFault, MoveStep, Residence};
use ledger_model::{ContentField, Decision, Instruction};

use super::site::{Site, account_of, begun, everything_of_shard, is_repeat, posted, rows_of_shard, run, shard};
use crate::bank::{payment, payout, refund, reversal};
use crate::further::{change_everything, holds_everything, rows_of_everything};
use crate::postgres::{balance, check_chain, post};

/// A payment of which something is refunded, and a refund that is taken back.
fn refunds(number: u64) -> Vec<Instruction> {
    let given = refund(11, 10, number, 2_000, 700);
    vec![
        payment(10, number, 2_000),
        given.clone(),
        refund(12, 10, number, 2_000, 300),
        reversal(13, &given),
    ]
}

#[test]
fn a_shard_moves_with_all_it_has() {
    // with every row in its table, so that the tables can be compared, and with rows that are in the journal alone
    for pending_rows_max in [0, 5, 1_000] {
        let site = Site::with(|settings| settings.pending_rows_max = pending_rows_max);
        let (process, number) = (site.process(), account_of(0));
        let mut store = process.open(shard(0));
        for instruction in refunds(number) {
            post(&mut store, &instruction).unwrap();
        }
        change_everything(&mut store, number);
        begun(&mut store);
        let (rows, records) = (rows_of_everything(&store, number), check_chain(&mut store));
        let before = everything_of_shard(&site.a);
        let reader = store.reader();
        let evidence = |number| reader.evidence(number).unwrap();
        let kept: Vec<_> = (1..=store.state().sequence).map(evidence).collect();
        run(site.to_b()).unwrap();
        site.check_moved();
        if pending_rows_max == 0 {
            assert_eq!(everything_of_shard(&site.b), before);
        }
        // one that was open before, and one of a process that knows nothing of the move
        for mut store in [store, site.process().open(shard(0))] {
            begun(&mut store);
            holds_everything(&store, number);
            assert_eq!(rows_of_everything(&store, number), rows);
            assert_eq!(check_chain(&mut store), records);
            let reader = store.reader();
            let evidence: Vec<_> = (1..=store.state().sequence)
                .map(|at| reader.evidence(at).unwrap())
                .collect();
            assert_eq!(evidence, kept);
            for instruction in refunds(number) {
                assert!(is_repeat(&post(&mut store, &instruction).unwrap()));
            }
        }
        assert_eq!(process.place(shard(0)), site.b.settings.name);
    }
}

#[test]
fn what_was_paid_before_a_move_is_refunded_after_it() {
    let site = Site::start();
    let mut store = site.process().open(shard(0));
    let number = account_of(0);
    post(&mut store, &payment(1, number, 500)).unwrap();
    run(site.to_b()).unwrap();
    let decided = |outcome: Outcome| match outcome {
        Outcome::Decided { transfer, .. } => transfer.decision,
        other => panic!("{other:?}"),
    };
    let mut give = |id, minor| decided(post(&mut store, &refund(id, 1, number, 500, minor)).unwrap());
    assert_eq!(give(2, 300), Decision::Posted);
    assert_ne!(give(3, 300), Decision::Posted, "more than was paid");
    run(site.back_to_a()).unwrap();
    assert_ne!(give(4, 300), Decision::Posted, "more than was paid");
    assert_eq!(give(5, 200), Decision::Posted);
    assert_eq!(balance(&mut store, number), 100_000);
}

#[test]
fn a_shard_moves_to_and_fro_and_is_followed() {
    let site = Site::start();
    let process = site.process();
    let (mut store, mut other) = (process.open(shard(0)), site.process().open(shard(0)));
    let reader = store.reader();
    let number = account_of(0);
    let mut paid = Vec::new();
    for turn in 0..3 {
        for (id, moving) in [(2 * turn, site.to_b()), (2 * turn + 1, site.back_to_a())] {
            let instruction = payment(id, number, 10);
            posted(if id % 3 == 0 { &mut other } else { &mut store }, &instruction);
            paid.push(instruction);
            run(moving).unwrap();
            assert_eq!(reader.committed().unwrap(), 2 + u64::try_from(paid.len()).unwrap());
        }
    }
    assert_eq!(site.residences()[0], Some(Residence::Here));
    assert_eq!(rows_of_shard(&site.b), "0 0 0 0");
    for instruction in &paid {
        assert!(is_repeat(&post(&mut other, instruction).unwrap()));
        assert!(reader.transfer(instruction.key()).unwrap().is_some());
    }
    check_chain(&mut store);
}

/// One key was used in both groups before the shards came to be neighbours.
#[test]
fn a_key_that_is_there_already_comes_along() {
    let site = Site::start();
    let process = site.process();
    let (mut moves, mut stays) = (process.open(shard(0)), process.open(shard(2)));
    let (of_moves, of_stays) = (account_of(0), account_of(2));
    post(&mut moves, &payment(1, of_moves, 500)).unwrap();
    post(&mut stays, &payment(1, of_stays, 500)).unwrap();
    for moving in [site.to_b(), site.back_to_a(), site.to_b()] {
        run(moving).unwrap();
        assert!(is_repeat(&post(&mut moves, &payment(1, of_moves, 500)).unwrap()));
        assert!(is_repeat(&post(&mut stays, &payment(1, of_stays, 500)).unwrap()));
    }
    post(&mut moves, &refund(2, 1, of_moves, 500, 200)).unwrap();
    let refunded = |store: &dyn Store| {
        let reader = store.reader();
        reader.transfer(payment(1, 1, 1).key()).unwrap().unwrap().refunded_minor
    };
    assert_eq!([refunded(&moves), refunded(&stays)], [200, 0], "each its own");
    site.check_moved();
}

#[test]
fn a_key_posts_once_where_the_shard_has_come() {
    let site = Site::start();
    let process = site.process();
    let (mut moved, mut neighbour) = (process.open(shard(0)), process.open(shard(2)));
    post(&mut moved, &payout(1, account_of(0), 500)).unwrap();
    run(site.to_b()).unwrap();
    let outcome = posted(&mut neighbour, &payout(1, account_of(2), 500));
    assert_eq!(outcome, Outcome::Conflict(ContentField::Account));
    assert!(neighbour.keeps_keys_with(shard(0)), "it is told that the other came");
}

#[test]
fn a_neighbour_learns_that_a_shard_left_before_it_decides_anything() {
    let site = Site::start();
    let process = site.process();
    let mut stays = process.open(shard(1));
    begun(&mut stays);
    assert!(stays.keeps_keys_with(shard(0)));
    run(site.to_b()).unwrap();
    assert_eq!(process.place(shard(0)), site.a.settings.name, "nobody told it");
    begun(&mut stays);
    assert!(!stays.keeps_keys_with(shard(0)));
    assert_eq!(process.place(shard(0)), site.b.settings.name);
}

#[test]
fn what_has_left_takes_nothing_more_whatever_the_program() {
    let site = Site::start();
    run(site.to_b()).unwrap();
    let added = "WITH added AS (UPDATE ledger.shard SET sequence = sequence + 1 WHERE shard = 0 RETURNING 1) \
         SELECT count(*) FROM added";
    let refused = std::panic::catch_unwind(|| site.a.sql(added));
    assert!(refused.is_err());
}

#[test]
fn tells_how_far_it_is() {
    let site = Site::start();
    let mut steps = Vec::new();
    let mut moving = site.to_b();
    let mut told = |progress: ledger::store::postgres::MoveProgress| {
        if steps.last() != Some(&progress.step) {
            steps.push(progress.step);
        }
    };
    moving.run(&mut told, &|| false).unwrap();
    assert_eq!(steps, [MoveStep::Copying, MoveStep::HandingOver, MoveStep::Clearing]);
}

#[test]
fn is_refused_where_it_cannot_be() {
    let site = Site::start();
    let check = |moving, expected: &str| {
        let refused = run(moving).unwrap_err().to_string();
        let names = [(&site.b, "b"), (&site.a, "a")];
        let refused = names
            .iter()
            .fold(refused, |text, (group, name)| text.replace(&group.settings.name, name));
        assert_eq!(refused, expected);
    };
    check(
        site.back_to_a(),
        "the shard does not live in the group it is to be moved from",
    );
    site.b
        .sql("INSERT INTO ledger.shard (shard, epoch, sequence, flushed, state) VALUES (0, 0, 0, 0, '')");
    check(
        site.to_b(),
        "the database of the group b is not another one of this ledger",
    );
    site.b
        .sql("DELETE FROM ledger.shard WHERE shard = 0; UPDATE ledger.book SET shards = 5");
    check(
        site.to_b(),
        "the database of the group b is not another one of this ledger",
    );
}

#[test]
fn one_mover_at_a_time() {
    let site = Site::start();
    let (mut asked, mut moving) = (false, site.to_b());
    let mut told = |_| {
        if !std::mem::replace(&mut asked, true) {
            return;
        }
        let refused = run(site.to_b());
        assert!(matches!(refused, Err(MoveFault::TakenByAnother)), "{refused:?}");
    };
    moving.run(&mut told, &|| false).unwrap();
    site.check_moved();
}
