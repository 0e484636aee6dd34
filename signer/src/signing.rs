//! Signing: by the newest current key of the suite whose device answers. The answer names the key that was used.

use std::time::Instant;

use signer_crypto::Suite;
use signer_protocol::{Answer, Sign, Signature};

use crate::duties::{Finished, Subject, complete, failed, no_key};
use crate::held_key::KeyFailure;
use crate::key_ring::OwnKey;
use crate::key_set::KeySet;
use crate::suites::crypto_suite;

/// Keys that are tried for one piece of work: the best, and one more when its device is away.
const KEYS_TRIED: usize = 2;

/// Answers in the order of the works. Uses private keys.
pub(crate) fn sign_all<'k>(keys: &'k KeySet, signs: &[&Sign], now: i64, deadline: Instant) -> Vec<Finished<'k>> {
    let mut finished: Vec<(usize, Finished<'k>)> = Vec::with_capacity(signs.len());
    for suite in Suite::ALL {
        let of_suite = signs.iter().enumerate();
        let of_suite = of_suite.filter(|(_, sign)| crypto_suite(sign.suite) == suite);
        let mut due: Vec<Due<'_>> = of_suite.map(|(place, sign)| (place, &*sign.signed)).collect();
        if due.is_empty() {
            continue;
        }
        let tried: Vec<&OwnKey> = keys.ring.signing(suite, now).into_iter().take(KEYS_TRIED).collect();
        let Some((last, first)) = tried.split_last() else {
            let none = || Subject::NONE.with(no_key("no current key of the suite to sign with"));
            finished.extend(due.into_iter().map(|(place, _)| (place, none())));
            continue;
        };
        for key in first {
            let (away, done): (Vec<_>, Vec<_>) = sign_with(key, &due, deadline)
                .into_iter()
                .partition(|(_, outcome)| matches!(outcome, Err(KeyFailure::Unavailable(_))));
            finished.extend(done.into_iter().map(|(place, outcome)| (place, answer(key, outcome))));
            due.retain(|(place, _)| away.iter().any(|(left, _)| left == place));
        }
        let outcomes = sign_with(last, &due, deadline).into_iter();
        finished.extend(outcomes.map(|(place, outcome)| (place, answer(last, outcome))));
    }
    finished.sort_by_key(|(place, _)| *place);
    finished.into_iter().map(|(_, finished)| finished).collect()
}

/// What is to be signed, and whose turn it is.
type Due<'w> = (usize, &'w [u8]);

/// Signs all that is due by one key. Nothing to sign asks for the serial alone, and the key is left in peace.
fn sign_with(key: &OwnKey, due: &[Due<'_>], deadline: Instant) -> Vec<(usize, Result<Vec<u8>, KeyFailure>)> {
    let signed: Vec<&[u8]> = due
        .iter()
        .map(|(_, signed)| *signed)
        .filter(|signed| !signed.is_empty())
        .collect();
    let outcomes = if signed.is_empty() {
        Vec::new()
    } else {
        let outcomes = complete(signed.len(), key.private.sign(&signed, deadline), Err);
        let away = |outcome: &Result<_, _>| matches!(outcome, Err(KeyFailure::Unavailable(_)));
        key.answered(!outcomes.iter().any(away));
        outcomes
    };
    let mut outcomes = outcomes.into_iter();
    let each = due.iter().map(|(place, signed)| {
        let outcome = if signed.is_empty() {
            Some(Ok(Vec::new()))
        } else {
            outcomes.next()
        };
        (*place, outcome.expect("every message has its outcome"))
    });
    each.collect()
}

fn answer(key: &OwnKey, outcome: Result<Vec<u8>, KeyFailure>) -> Finished<'_> {
    Subject::own(key).with(match outcome {
        Ok(bytes) => Answer::Signed(Signature {
            serial: key.certificate.serial().to_owned(),
            bytes,
        }),
        Err(failure) => failed(&failure),
    })
}
