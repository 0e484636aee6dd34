//! What the topic has to be like.

use ledger_protocol::ShipState;

use crate::journal::{Journal, SHARDS, Store};
use crate::site::Site;

pub(crate) fn a_topic_is_made_and_filled(site: &mut Site) {
    let journal = Journal::new();
    journal.grow(1_000, 1);
    let ships = site.ship(&journal, "made", Store::Own);
    ships.wait_shipped();
    // single records too, each in a transaction of its own
    for _ in 0..10 {
        journal.grow(1, 1);
        ships.wait_shipped();
    }
    ships.finish();
    site.check_holds("made", &journal);
    // and a start over finds its place behind the marks
    journal.grow(10, 1);
    let ships = site.ship(&journal, "made", Store::Own);
    ships.wait_shipped();
    ships.finish();
    site.check_holds("made", &journal);
}

fn check_refused(site: &Site, topic: &str, replication: u16, expected: (ShipState, &str)) {
    let journal = Journal::new();
    journal.grow(10, 1);
    let mut settings = site.settings(topic);
    settings.replication = replication;
    let ships = site.ship_as(&journal, settings, Store::Own);
    let (state, why) = expected;
    ships.wait_all(why, |report| report.state == state && report.why.contains(why));
    ships.finish();
    for shard in SHARDS.all() {
        assert_eq!(
            site.broker.contents(topic, shard.number().into()),
            Vec::<Vec<u8>>::new()
        );
    }
}

pub(crate) fn other_partitions(site: &mut Site) {
    site.broker.make("partitions", 3, &[]);
    let why = "the topic has 3 partitions, the ledger 2 shards";
    check_refused(site, "partitions", 1, (ShipState::Refused, why));
}

pub(crate) fn too_few_replicas(site: &mut Site) {
    site.broker.make_right("replicas");
    let why = "partition 0 of the topic has 1 replicas, 3 are configured";
    check_refused(site, "replicas", 3, (ShipState::Refused, why));
    let why = "the broker could not make the topic";
    check_refused(site, "replicas-made", 3, (ShipState::Unreachable, why));
}

pub(crate) fn too_small_batches(site: &mut Site) {
    let settings = [("max.message.bytes", "100")];
    site.broker.make("batches", SHARDS.count().into(), &settings);
    let why = "its max.message.bytes is too low";
    check_refused(site, "batches", 1, (ShipState::Refused, why));
}
