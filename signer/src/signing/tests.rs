//! Which key signs when devices are away, and when the work names one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signer_protocol::Failure;

use super::*;
use crate::config::KeyUse;
use crate::health::{Trial, trial};
use crate::key_ring::KeyRing;
use crate::policy::Caller;
use crate::pretended_key::{LATE, NEWER, OLDER, PretendedKey};
use crate::tokens::tests::one;

/// Two current keys, the newer of which is away when it is told to be.
struct Two {
    keys: KeySet,
    older: Arc<PretendedKey>,
    newer: Arc<PretendedKey>,
    older_away: Arc<AtomicBool>,
    newer_away: Arc<AtomicBool>,
}

fn two() -> Two {
    let mut ring = KeyRing::new([]);
    let [older_away, newer_away] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let mut add = |serial: &str, away: &Arc<AtomicBool>| {
        let away = Arc::clone(away);
        let device = move |_: &[&[u8]]| {
            let away = away.load(Ordering::Relaxed);
            let unavailable = KeyFailure::Unavailable("pulled out".to_owned());
            if away { Err(unavailable) } else { Ok(()) }
        };
        PretendedKey::add(&mut ring, KeyUse::Sign, serial, device)
    };
    let (older, newer) = (add(OLDER, &older_away), add(NEWER, &newer_away));
    Two {
        keys: KeySet::of(ring, one()),
        older,
        newer,
        older_away,
        newer_away,
    }
}

impl Two {
    /// Signs one text for each serial that is wanted; the serials that come back, or why not.
    fn sign(&self, wanted: &[&str]) -> Vec<Result<String, Failure>> {
        let caller = Arc::new(Caller::owner());
        let signs: Vec<Sign> = wanted
            .iter()
            .map(|serial| Sign {
                suite: signer_protocol::Suite::Sm,
                signed: b"<root/>".to_vec(),
                signing_serial: (*serial).to_owned(),
            })
            .collect();
        let asked: Vec<By<'_, Sign>> = signs.iter().map(|work| By { work, caller: &caller }).collect();
        let finished = sign_all(&self.keys, &asked, LATE, Instant::now() + Duration::from_secs(5));
        let answers = finished.into_iter().map(|finished| match finished.answer {
            Answer::Signed(signature) => {
                assert_eq!(finished.subject.serial, signature.serial);
                Ok(signature.serial)
            }
            Answer::Failed(failure, _) => Err(failure),
            other => panic!("{other:?}"),
        });
        answers.collect()
    }
}

fn ok(serials: &[&str]) -> Vec<Result<String, Failure>> {
    serials.iter().map(|serial| Ok((*serial).to_owned())).collect()
}

#[test]
fn a_batch_is_signed_by_one_use_of_the_newest_key() {
    let two = two();
    assert_eq!(two.sign(&["", "", ""]), ok(&[NEWER, NEWER, NEWER]));
    assert_eq!((two.newer.uses(), two.older.uses()), (vec![3], vec![]));
}

#[test]
fn work_that_names_a_current_key_is_signed_by_it() {
    let two = two();
    let signed = two.sign(&[OLDER, "", "4000000199", NEWER]);
    assert_eq!(signed, ok(&[OLDER, NEWER, NEWER, NEWER]));
    two.older_away.store(true, Ordering::Relaxed);
    assert_eq!(two.sign(&[OLDER]), ok(&[NEWER]), "the wanted key is away");
}

#[test]
fn the_next_key_signs_while_the_newest_is_away() {
    let two = two();
    two.newer_away.store(true, Ordering::Relaxed);
    assert_eq!(two.sign(&["", ""]), ok(&[OLDER, OLDER]));
    assert_eq!((two.newer.uses(), two.older.uses()), (vec![2], vec![2]));
    assert_eq!(two.sign(&[""]), ok(&[OLDER]));
    assert_eq!(
        (two.newer.uses(), two.older.uses()),
        (vec![], vec![1]),
        "it is not asked again"
    );

    two.newer_away.store(false, Ordering::Relaxed);
    let newer = *two.keys.ring.signing(Suite::Sm, LATE).last().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    assert_eq!(trial(&two.keys.audit, KeyUse::Sign, newer, deadline), Trial::Works);
    assert_eq!(two.sign(&[""]), ok(&[NEWER]), "a trial found it back");
}

#[test]
fn all_keys_away_is_told() {
    let two = two();
    two.newer_away.store(true, Ordering::Relaxed);
    two.older_away.store(true, Ordering::Relaxed);
    assert_eq!(
        two.sign(&["", OLDER]),
        [Err(Failure::KeyUnavailable), Err(Failure::KeyUnavailable)]
    );
}
