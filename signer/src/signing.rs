//! Signing: by the key that the work names while that is current, else by the newest current key of the suite; when its
//! device does not answer, by the next. The answer names the key that was used.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use signer_crypto::Suite;
use signer_protocol::{Answer, Sign, Signature};

use crate::audit::{Audit, Use};
use crate::duties::{Finished, Subject, complete, failed, no_key};
use crate::held_key::KeyFailure;
use crate::job::By;
use crate::key_ring::{KeyInput, OwnKey};
use crate::key_set::KeySet;
use crate::suites::crypto_suite;

/// Keys that are tried for one piece of work: the best, and one more when its device is away.
const KEYS_TRIED: usize = 2;

/// Answers in the order of the works. Uses private keys, of each caller those that its policy allows.
pub(crate) fn sign_all<'k>(keys: &'k KeySet, signs: &[By<'_, Sign>], now: i64, deadline: Instant) -> Vec<Finished<'k>> {
    let mut finished: Vec<(usize, Finished<'k>)> = Vec::with_capacity(signs.len());
    for (Alike { suite, wanted, allowed }, mut due) in alike(keys, signs, now) {
        let mut current = keys.ring.signing(suite, now);
        current.retain(|key| allowed.is_none_or(|allowed| allowed.contains(key.certificate.serial())));
        current.sort_by_key(|key| Some(key.certificate.serial()) != wanted);
        let tried: Vec<&OwnKey> = current.into_iter().take(KEYS_TRIED).collect();
        let Some((last, first)) = tried.split_last() else {
            let none = || Subject::NONE.with(no_key("no current key of the suite to sign with"));
            finished.extend(due.into_iter().map(|(place, _)| (place, none())));
            continue;
        };
        for key in first {
            let (away, done): (Vec<_>, Vec<_>) = sign_with(&keys.audit, key, &due, deadline)
                .into_iter()
                .partition(|(_, outcome)| matches!(outcome, Err(KeyFailure::Unavailable(_))));
            finished.extend(done.into_iter().map(|(place, outcome)| (place, answer(key, outcome))));
            due.retain(|(place, _)| away.iter().any(|(left, _)| left == place));
        }
        let outcomes = sign_with(&keys.audit, last, &due, deadline).into_iter();
        finished.extend(outcomes.map(|(place, outcome)| (place, answer(last, outcome))));
    }
    finished.sort_by_key(|(place, _)| *place);
    finished.into_iter().map(|(_, finished)| finished).collect()
}

/// Works that are signed together: by the same keys in the same order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike<'w> {
    suite: Suite,
    /// A serial of ours that is current.
    wanted: Option<&'w str>,
    /// By the policy of the caller; all when absent.
    allowed: Option<&'w BTreeSet<String>>,
}

fn alike<'w>(keys: &KeySet, signs: &[By<'w, Sign>], now: i64) -> BTreeMap<Alike<'w>, Vec<Due<'w>>> {
    let mut groups: BTreeMap<Alike<'w>, Vec<Due<'w>>> = BTreeMap::new();
    for (place, asked) in signs.iter().enumerate() {
        let suite = crypto_suite(asked.work.suite);
        let wanted = Some(&*asked.work.signing_serial);
        let group = Alike {
            suite,
            wanted: wanted.filter(|serial| keys.ring.signs_as(serial, suite, now)),
            allowed: asked.caller.keys(),
        };
        groups.entry(group).or_default().push((place, *asked));
    }
    groups
}

/// What is to be signed, and whose turn it is.
type Due<'w> = (usize, By<'w, Sign>);

/// Signs all that is due by one key. Nothing to sign asks for the serial alone, and the key is left in peace.
fn sign_with(
    audit: &Audit,
    key: &OwnKey,
    due: &[Due<'_>],
    deadline: Instant,
) -> Vec<(usize, Result<Vec<u8>, KeyFailure>)> {
    let inputs = due.iter().map(|(_, asked)| KeyInput {
        bytes: &asked.work.signed,
        caller: asked.caller.name(),
    });
    let inputs: Vec<KeyInput<'_>> = inputs.filter(|input| !input.bytes.is_empty()).collect();
    let outcomes = if inputs.is_empty() {
        Vec::new()
    } else {
        let outcomes = complete(inputs.len(), key.sign(audit, Use::Sign, &inputs, deadline), Err);
        let away = |outcome: &Result<_, _>| matches!(outcome, Err(KeyFailure::Unavailable(_)));
        key.answered(!outcomes.iter().any(away));
        outcomes
    };
    let mut outcomes = outcomes.into_iter();
    let each = due.iter().map(|(place, asked)| {
        let outcome = if asked.work.signed.is_empty() {
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

#[cfg(test)]
mod tests;
