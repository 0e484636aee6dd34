//! `ledger group add`, `remove` and `list`, while a real process takes orders, and when it is killed in the middle.

use operations::exit;

use super::fleet::{Fleet, Load, post};
use crate::bank::payment;
use crate::hold::{Hold, Place};
use crate::process::Told;
use crate::server::{PORT, for_everybody};

const LAYOUT: [(&str, &[u8]); 2] = [("a", &[0, 1]), ("b", &[2, 3])];
const REMOVED: &str = "holds no shard any more; its section may be deleted from the configuration file of every ledger \
     process, numbers under its `shards` are written to another section";

/// Done, and told so; nothing but steps is told before.
#[track_caller]
fn check_done(told: &Told, expected: &[&str]) {
    assert_eq!(told.code, i32::from(exit::DONE), "{told:?}");
    let ends = told.err.lines().filter(|line| !line.contains("), "));
    assert_eq!(ends.collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_come_and_go_by_commands_while_orders_go_on() {
    let servers = [for_everybody(), for_everybody(), for_everybody()];
    let mut fleet = Fleet::start(&servers, &LAYOUT).await;
    let load = Load::start(&fleet.ledger().client);
    let before = payment(9_000_001, 0, 700);
    post(&fleet.ledger().client, &before).await;
    let host = format!("{}:{PORT}", servers[0].host());
    let list = |fleet: &Fleet| fleet.ledger().command(&["group", "list"]).out;
    assert_eq!(
        list(&fleet),
        format!(
            "group                state      shards                   hosts\n\
             a                    up         0, 1                     {host}\n\
             b                    up         2, 3                     {host}\n"
        )
    );

    let unknown = "refused: the configuration has no group c";
    fleet.change(&["add", "c"]).fails(exit::FAILED.into(), unknown);
    fleet.write("c");
    load.goes_on().await;
    let added = fleet.change(&["add", "c"]);
    check_done(&added, &["shard 1 moved from a to c", "the group c is in use"]);
    // a step that is over before it is told is passed over
    assert!(added.err.contains("shard 1 (1 of 1), a to c: "), "{}", added.err);
    assert_eq!(fleet.listed(), "a 0, b 2 3, c 1");
    load.goes_on().await;
    check_done(&fleet.change(&["add", "c"]), &["the group c is in use"]);
    let is_there = "refused: the group b is there already, with shards 2, 3";
    fleet.change(&["add", "b"]).fails(exit::FAILED.into(), is_there);
    let removed = format!("the group a {REMOVED}");
    check_done(
        &fleet.change(&["remove", "a"]),
        &["shard 0 moved from a to b", &removed],
    );
    assert_eq!(fleet.listed(), "a, b 0 2 3, c 1");
    check_done(&fleet.change(&["remove", "a"]), &[&removed]);
    assert!(list(&fleet).contains("\na                    up         none      "));
    let without_operator = fleet.ledger().command(&["group", "remove", "b"]);
    without_operator.fails(exit::USAGE.into(), "--operator");
    load.goes_on().await;

    let another = fleet.another(&[("b", &[0, 1, 2, 3]), ("c", &[])]).await;
    post(&another.client, &before).await;
    let mut ordered = load.stop().await;
    ordered.push((before, 0));
    fleet.check_books(std::slice::from_ref(&another.client), &ordered).await;
}

/// The ledger is killed where the move has come to, and the same command goes on in the next one.
async fn check_killed(fleet: &mut Fleet, load: &Load, place: Place, step: &str, expected: &[&str]) {
    let held_in = if place == Place::Cleared { "a" } else { "c" };
    let group = fleet.group(held_in).clone();
    let hold = Hold::at(place, &group);
    let mut command = fleet.begin(&["add", "c", "--shards", "0"]);
    command.until(step);
    hold.is_reached();
    let listed = fleet.ledger().command(&["group", "list"]);
    assert!(listed.out.contains("\nshard 0 (1 of 1), a to c: "), "{}", listed.out);
    fleet.kill();
    let told = command.ended();
    told.fails(
        exit::FAILED.into(),
        "the connection to the ledger was lost; the move goes on if the ledger still runs, or stays where it was, and \
         nothing is lost\nthe same command shows how far it is, and goes on",
    );
    drop(hold);
    fleet.start_again().await;
    load.goes_on().await;
    fleet.wait_for_no_mover();
    check_done(&fleet.change(&["add", "c", "--shards", "0"]), expected);
    assert_eq!(fleet.listed(), "a 1, b 2 3, c 0", "{place:?}");
    load.goes_on().await;
    let removed = format!("the group c {REMOVED}");
    check_done(
        &fleet.change(&["remove", "c"]),
        &["shard 0 moved from c to a", &removed],
    );
    assert_eq!(fleet.listed(), "a 0 1, b 2 3, c");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_in_a_move_the_ledger_goes_on_by_the_same_command() {
    let servers = [for_everybody(), for_everybody(), for_everybody()];
    let mut fleet = Fleet::start(&servers, &[LAYOUT[0], LAYOUT[1], ("c", &[])]).await;
    let load = Load::start(&fleet.ledger().client);
    load.goes_on().await;
    let moved: &[&str] = &["shard 0 moved from a to c", "the group c is in use"];
    // it had moved, but for what it left behind
    let cleared: &[&str] = &["the group c is in use"];
    for (place, step, expected) in [
        (Place::Copied, "a to c: copying", moved),
        (Place::HandedOver, "a to c: is handed over", moved),
        (Place::OnItsWay, "a to c: is handed over", cleared),
        (Place::Cleared, "a to c: clearing", cleared),
    ] {
        check_killed(&mut fleet, &load, place, step, expected).await;
    }
    let ordered = load.stop().await;
    fleet.check_books(&[], &ordered).await;
}
