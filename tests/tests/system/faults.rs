//! What breaks in the middle of payments, and that none of them is lost or posted twice.

use system_tests::part::Part;

use crate::payments::{Heard, Payments};
use crate::site::Site;

const COUNT: usize = 1_200;
/// Where the fault falls.
const MIDDLE: usize = 300;

/// What the network was told to be posted is posted; after a resend all of it is, each once.
fn check_all_posted_once(site: &Site, payments: &Payments, heard: &[Heard], posted_before: u64) {
    let refused: Vec<_> = heard
        .iter()
        .filter(|heard| matches!(heard, Heard::Refused(_)))
        .collect();
    assert!(refused.is_empty(), "nobody may be told that it failed: {refused:?}");
    let again = payments.play(site).finish();
    for (place, (first, second)) in heard.iter().zip(&again).enumerate() {
        assert!(
            matches!(second, Heard::Posted { .. }),
            "payment {place} did not settle: {first:?}, then {second:?}"
        );
        if matches!(first, Heard::Posted { .. }) {
            assert_eq!(first, second, "payment {place} was told two outcomes");
        }
    }
    let counts = site.settled();
    let expected = u64::try_from(payments.len()).unwrap();
    assert_eq!(
        counts.posted - posted_before,
        expected,
        "every payment is posted once: {counts}"
    );
}

pub(crate) fn ledger_killed_under_load(site: &mut Site) {
    let before = site.settled().posted;
    let payments = Payments::make(site, 101, COUNT);
    let playing = payments.play(site);
    playing.wait_answered(MIDDLE);
    site.installation.kill(Part::Ledger).unwrap();
    site.installation.start(Part::Ledger).unwrap();
    let heard = playing.finish();
    let acknowledged = heard
        .iter()
        .filter(|heard| matches!(heard, Heard::Posted { .. }))
        .count();
    assert!(acknowledged >= MIDDLE, "only {acknowledged} were acknowledged");
    assert!(acknowledged < COUNT, "the kill came too late to hit anything");
    site.installation.wait_ready(Part::Frontend).unwrap();
    check_all_posted_once(site, &payments, &heard, before);
}

pub(crate) fn replicator_killed_under_load(site: &mut Site) {
    let before = site.settled().posted;
    let payments = Payments::make(site, 102, COUNT);
    let playing = payments.play(site);
    playing.wait_answered(MIDDLE);
    site.installation.kill(Part::BatchClearing).unwrap();
    playing.wait_answered(2 * MIDDLE);
    site.installation.start(Part::BatchClearing).unwrap();
    let heard = playing.finish();
    assert!(
        heard.iter().all(|heard| matches!(heard, Heard::Posted { .. })),
        "the live path does not notice"
    );
    check_all_posted_once(site, &payments, &heard, before);
}

pub(crate) fn kafka_killed_under_load(site: &mut Site) {
    let before = site.settled().posted;
    let payments = Payments::make(site, 103, COUNT);
    let playing = payments.play(site);
    playing.wait_answered(MIDDLE);
    site.installation.kill(Part::Kafka).unwrap();
    let heard = playing.finish();
    assert!(
        heard.iter().all(|heard| matches!(heard, Heard::Posted { .. })),
        "the live path does not notice"
    );
    site.installation.start(Part::Kafka).unwrap();
    check_all_posted_once(site, &payments, &heard, before);
}

pub(crate) fn postgres_killed_under_load(site: &mut Site) {
    let before = site.settled().posted;
    let payments = Payments::make(site, 104, COUNT);
    let playing = payments.play(site);
    playing.wait_answered(MIDDLE);
    site.installation.kill(Part::Postgres).unwrap();
    let heard = playing.finish();
    assert!(
        heard.iter().all(|heard| matches!(heard, Heard::Posted { .. })),
        "the live path does not notice"
    );
    site.installation.start(Part::Postgres).unwrap();
    // a supervisor's work: it may have ended with its database
    site.installation.start(Part::BatchClearing).unwrap();
    check_all_posted_once(site, &payments, &heard, before);
}

pub(crate) fn signer_down(site: &mut Site) {
    let before = site.settled();
    let payments = Payments::make(site, 105, 40);
    site.installation.kill(Part::Signer).unwrap();
    let heard = payments.play(site).finish();
    for heard in &heard {
        assert_eq!(*heard, Heard::Nothing("HTTP 503".to_owned()));
    }
    assert_eq!(site.counts().posted, before.posted, "nothing was posted");
    site.installation.start(Part::Signer).unwrap();
    site.installation.wait_ready(Part::Frontend).unwrap();
    check_all_posted_once(site, &payments, &heard, before.posted);
}

pub(crate) fn ledger_down(site: &mut Site) {
    let before = site.settled();
    let payments = Payments::make(site, 106, 40);
    site.installation.stop(Part::Ledger).unwrap();
    let heard = payments.play(site).finish();
    let known = heard
        .iter()
        .filter(|heard| matches!(heard, Heard::Posted { .. } | Heard::Refused(_)));
    assert_eq!(known.count(), 0, "nobody can know an outcome now: {heard:?}");
    site.installation.start(Part::Ledger).unwrap();
    site.installation.wait_ready(Part::Frontend).unwrap();
    assert_eq!(site.settled().posted, before.posted, "nothing was posted");
    check_all_posted_once(site, &payments, &heard, before.posted);
}
