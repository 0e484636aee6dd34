//! A server is lost in the middle of `ledger group add`: the one the shard comes from, or the one it goes to.

use std::sync::Arc;

use operations::exit;

use super::fleet::{Fleet, Load, post};
use crate::bank::{first_of, payment, payout};
use crate::hold::{Hold, Place};
use crate::server::{FLEETING, Server, Wanted, for_everybody};

use super::site::shard;

const LAYOUT: [(&str, &[u8]); 3] = [("a", &[0, 1]), ("b", &[2, 3]), ("c", &[])];
const ADD: [&str; 4] = ["add", "c", "--shards", "0"];

/// Which server is lost when, and how.
#[derive(Debug, Clone, Copy)]
struct Loss {
    place: Place,
    /// As the command tells it.
    step: &'static str,
    /// The group whose server it is.
    of: &'static str,
    lose: fn(&Server),
}

const fn loss(place: Place, of: &'static str, lose: fn(&Server)) -> Loss {
    let step = match place {
        Place::Copied => "a to c: copying",
        Place::HandedOver | Place::Marked | Place::OnItsWay => "a to c: is handed over",
        Place::Cleared => "a to c: clearing",
    };
    Loss { place, step, of, lose }
}

const LOSSES: [Loss; 11] = [
    loss(Place::Copied, "a", Server::kill),
    loss(Place::Copied, "c", Server::kill),
    loss(Place::Copied, "a", Server::stop),
    loss(Place::Copied, "c", Server::stop),
    loss(Place::HandedOver, "a", Server::kill),
    loss(Place::HandedOver, "c", Server::kill),
    loss(Place::HandedOver, "a", Server::stop),
    loss(Place::OnItsWay, "a", Server::kill),
    loss(Place::OnItsWay, "c", Server::kill),
    loss(Place::OnItsWay, "c", Server::stop),
    loss(Place::Cleared, "a", Server::kill),
];

/// Orders of its own, beside the load's.
struct Orders {
    next: u64,
    all: Vec<(ledger_model::Instruction, u64)>,
}

impl Orders {
    /// Shards are in use wherever they are: each takes a payment.
    async fn pay(&mut self, fleet: &Fleet, shards: &[u8]) {
        for number in shards {
            let account = first_of(shard(*number));
            self.next += 1;
            let order = payment(self.next, account, 1);
            post(&fleet.ledger().client, &order).await;
            self.all.push((order, account));
        }
    }

    /// Money comes in for a shard that is away.
    async fn pay_out(&mut self, fleet: &Fleet, number: u8) {
        let account = first_of(shard(number));
        self.next += 1;
        let order = payout(self.next, account, 1);
        post(&fleet.ledger().client, &order).await;
        self.all.push((order, account));
    }
}

async fn check_lost(fleet: &Fleet, orders: &mut Orders, load: &Load, lost: Loss) {
    let group = fleet.group(if lost.place == Place::Cleared { "a" } else { "c" });
    let hold = Hold::at(lost.place, group);
    let mut command = fleet.begin(&ADD);
    command.until(lost.step);
    hold.is_reached();
    let server = &fleet.group(lost.of).server;
    (lost.lose)(server);
    drop(hold);
    let told = command.ended();
    let broke_off = format!(
        "broke off: shard 0 could not be moved: the group {} cannot be reached, or did not answer in time",
        lost.of
    );
    told.fails(exit::FAILED.into(), &broke_off);
    told.fails(
        exit::FAILED.into(),
        "\nnothing is lost; the same command goes on from here",
    );
    // what needs neither goes on, and what comes in for a shard that is away is taken in by others
    orders.pay(fleet, &[2, 3]).await;
    orders.pay_out(fleet, 0).await;
    server.start_again();
    orders.pay(fleet, &[0, 1, 2, 3]).await;
    let listed = fleet.listed();
    assert!(
        ["a 0 1, b 2 3, c", "a 1, b 2 3, c 0"].contains(&listed.as_str()),
        "{lost:?}: {listed}"
    );
    fleet.wait_for_no_mover();
    fleet.change(&ADD).fails(exit::DONE.into(), "the group c is in use");
    assert_eq!(fleet.listed(), "a 1, b 2 3, c 0", "{lost:?}");
    orders.pay(fleet, &[0]).await;
    load.goes_on().await;
    let removed = fleet.change(&["remove", "c"]);
    removed.fails(exit::DONE.into(), "shard 0 moved from c to a");
    assert_eq!(fleet.listed(), "a 0 1, b 2 3, c");
    orders.pay(fleet, &[0, 1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_lost_in_the_middle_of_a_move_loses_no_order_and_the_same_command_goes_on() {
    let [a, c] = [(); 2].map(|()| {
        Arc::new(Server::start(Wanted {
            settings: &FLEETING,
            under: "/tmp",
            tcp_port: None,
        }))
    });
    let fleet = Fleet::start(&[a, for_everybody(), c], &LAYOUT).await;
    let load = Load::start(&fleet.ledger().client);
    let mut orders = Orders {
        next: 9_000_000,
        all: Vec::new(),
    };
    for lost in LOSSES {
        check_lost(&fleet, &mut orders, &load, lost).await;
    }
    let mut ordered = load.stop().await;
    ordered.extend(orders.all);
    fleet.check_books(&[], &ordered).await;
}

/// Nothing of it is needed any more: the move comes to its end without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_lost_after_its_shard_has_come_does_not_keep_the_move_from_its_end() {
    let target = Arc::new(Server::start(Wanted {
        settings: &FLEETING,
        under: "/tmp",
        tcp_port: None,
    }));
    let fleet = Fleet::start(&[for_everybody(), for_everybody(), Arc::clone(&target)], &LAYOUT).await;
    let load = Load::start(&fleet.ledger().client);
    let hold = Hold::at(Place::Cleared, fleet.group("a"));
    let mut command = fleet.begin(&ADD);
    command.until("a to c: clearing");
    hold.is_reached();
    target.kill();
    drop(hold);
    command.ended().fails(exit::DONE.into(), "the group c is in use");
    target.start_again();
    load.goes_on().await;
    assert_eq!(fleet.listed(), "a 1, b 2 3, c 0");
    let ordered = load.stop().await;
    fleet.check_books(&[], &ordered).await;
}
