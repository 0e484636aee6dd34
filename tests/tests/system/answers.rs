//! Every message file of the corpus is answered as the file beside it says, and the invalid ones change nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use fixtures::answer::{self, Said};
use fixtures::corpus::{self, Case};
use fixtures::exchange::{Line, Outgoing, Target};
use fixtures::keys::Keyring;
use frontend_messages::Profile;
use system_tests::blocking::block_on;
use system_tests::feed::{Mix, Suite};
use system_tests::part::Part;
use system_tests::settings::Clock;

use crate::site::Site;

fn cases(valid: bool) -> Vec<Case> {
    let all = corpus::load(&corpus::repository_directory()).unwrap();
    let some: Vec<_> = all.into_iter().filter(|case| case.is_valid() == valid).collect();
    assert!(some.len() > 10, "the corpus is there");
    some
}

/// Sends one file as it is. What was said, or what is wrong with the answer.
async fn ask(target: &Arc<Target>, case: &Case, keys: &Keyring) -> Result<Said, String> {
    let outgoing = Outgoing::of(case.body.clone(), &case.expected.request);
    let incoming = Line::new(Arc::clone(target))
        .exchange(outgoing)
        .await
        .map_err(|fault| format!("{fault:?}"))?;
    let signed = answer::open(&incoming, keys, &Profile::default()).map_err(|fault| fault.to_string())?;
    let said = signed.map(|signed| signed.said()).unwrap_or_default();
    said.check(incoming.status, &case.expected.answer)
        .map_err(|fault| format!("{fault}; said: {said:?}"))?;
    Ok(said)
}

fn none(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} answers are wrong:\n  {}",
        wrong.len(),
        wrong.join("\n  ")
    );
}

pub(crate) fn valid_files(site: &mut Site) {
    let (target, before) = (site.target(), site.counts());
    let (mut said, mut wrong) = (BTreeMap::new(), Vec::new());
    for case in cases(true) {
        let earlier = case.expected.answer.same_outcome_as.as_ref();
        let outcome = block_on(ask(&target, &case, &site.keys)).and_then(|heard: Said| {
            let same = earlier.map_or(Ok(()), |name| match said.get(name) {
                Some(earlier) => heard.check_same_outcome(earlier).map_err(|fault| fault.to_string()),
                None => Err(format!("{name} was not played before")),
            });
            same.map(|()| heard)
        });
        match outcome {
            Ok(heard) => {
                said.insert(case.name, heard);
            }
            Err(why) => wrong.push(format!("{}: {why}", case.name)),
        }
    }
    none(&wrong);
    let counts = site.settled();
    assert!(counts.posted > before.posted, "money moved: {counts}");
}

pub(crate) fn invalid_files_post_nothing(site: &mut Site) {
    let target = site.target();
    let mut wrong = Vec::new();
    for case in cases(false) {
        let before = site.positions();
        if let Err(why) = block_on(ask(&target, &case, &site.keys)) {
            wrong.push(format!("{}: {why}", case.name));
        }
        if site.positions() != before {
            wrong.push(format!("{}: the ledger has moved", case.name));
        }
    }
    none(&wrong);
}

/// The replayer checks every answer and ends with a fault when one is not as expected.
pub(crate) fn every_kind_in_both_suites(site: &mut Site) {
    for (suite, seed) in [(Suite::Sm, 201), (Suite::Rsa, 202)] {
        let before = site.settled().posted;
        let replay = site.replay(Mix::Demo, 600, suite, seed);
        replay
            .play(site.plan(), &site.plan().tools)
            .unwrap_or_else(|fault| panic!("{suite:?}: {fault}; see {}", site.file("log/tools.log").display()));
        let told = system_tests::feed::read_transcript(&replay.transcript).unwrap();
        let told = told.iter().filter(|line| line.outcome == "posted").count();
        assert!(told > 300, "most of them post");
        assert_eq!(
            site.settled().posted - before,
            u64::try_from(told).unwrap(),
            "{suite:?}"
        );
    }
}

pub(crate) fn fixture_time_is_refused_by_default(site: &mut Site) {
    let restart = |site: &mut Site, clock| {
        site.installation.set_clock(clock).unwrap();
        site.installation.stop(Part::Frontend).unwrap();
        site.installation.start(Part::Frontend).unwrap();
    };
    let mut case = cases(true).swap_remove(0);
    case.expected.answer = corpus::ExpectedAnswer {
        http_status: 200,
        message: Some("303".to_owned()),
        description_contains: Some("SndDt".to_owned()),
        ..corpus::ExpectedAnswer::default()
    };
    restart(site, Clock::Now);
    let before = site.positions();
    let refused = block_on(ask(&site.target(), &case, &site.keys));
    let after = site.positions();
    restart(site, Clock::AlsoFixtureTime);
    refused.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(after, before, "nothing was posted");
}
