//! Judging who asks: the policy in use, applied to a peer and to each piece of its work; refusals counted, and on the disk
//! before they are answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use operations::peer::PeerIdentity;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use signer_protocol::Work;
use tonic::{Request, Status};

use crate::audit::{self, Audit, Event};
use crate::key_set::{CurrentKeys, KeySet};
use crate::policy::{Caller, Forbidden, Right, UNKNOWN};
use crate::suites::crypto_suite;

/// How long the answer to a refusal waits for its record.
const RECORD_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NotAllowed {
    caller: String,
    right: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct Callers {
    keys: Arc<CurrentKeys>,
    audit: Audit,
    /// By caller, all of them names of our configuration.
    refusals: Family<NotAllowed, Counter>,
}

/// A right that was refused, and the key it was about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Refused {
    pub(crate) forbidden: Forbidden,
    right: Right,
    key: Option<String>,
}

impl Callers {
    pub(crate) fn new(keys: Arc<CurrentKeys>, audit: Audit, registry: &mut Registry) -> Self {
        let refusals = Family::default();
        registry.register(
            "signer_not_allowed",
            "Requests that the policy refuses, by caller and right",
            refusals.clone(),
        );
        Self { keys, audit, refusals }
    }

    /// Who sends this request, if it is somebody the policy in use knows.
    pub(crate) async fn of<T>(
        &self,
        request: &Request<T>,
        right: Right,
    ) -> Result<(PeerIdentity, Arc<Caller>), Status> {
        let Some(peer) = PeerIdentity::of(request) else {
            return Err(self.unknown("no identity", right).await);
        };
        let caller = self.keys.now().policy.caller(&peer).cloned();
        match caller {
            Some(caller) => Ok((peer, caller)),
            None => Err(self.unknown(&peer.to_string(), right).await),
        }
    }

    /// As [`of`](Self::of), with that right.
    pub(crate) async fn with<T>(&self, request: &Request<T>, right: Right) -> Result<Arc<Caller>, Status> {
        let (peer, caller) = self.of(request, right).await?;
        if let Err(forbidden) = caller.may(right) {
            let refused = Refused {
                forbidden,
                right,
                key: None,
            };
            self.refuse(&caller, &peer, &BTreeMap::from([(refused, 1)])).await;
            return Err(Status::permission_denied(forbidden.to_string()));
        }
        Ok(caller)
    }

    /// Records and counts what a caller was refused of one batch.
    pub(crate) async fn refuse(&self, caller: &Caller, peer: &PeerIdentity, refused: &BTreeMap<Refused, u64>) {
        for (refused, times) in refused {
            let Refused { forbidden, right, key } = refused;
            for _ in 0..*times {
                self.note(caller.name(), &peer.to_string(), *right, key.as_deref())
                    .await;
            }
            tracing::warn!(caller = &**caller.name(), %forbidden, times, "not allowed");
        }
    }

    pub(crate) async fn unknown(&self, peer: &str, right: Right) -> Status {
        tracing::warn!(peer, %right, "a peer that is no caller was refused");
        self.note(UNKNOWN, peer, right, None).await;
        Status::permission_denied("the policy knows no such caller")
    }

    async fn note(&self, caller: &str, peer: &str, right: Right, key: Option<&str>) {
        let label = NotAllowed {
            caller: caller.to_owned(),
            right: right.name(),
        };
        self.refusals.get_or_create(&label).inc();
        let event = Event::Refused {
            caller: caller.to_owned(),
            peer: peer.to_owned(),
            right: right.name().to_owned(),
            key: key.map(str::to_owned),
        };
        let Some(event) = self.audit.refusal(event) else {
            return;
        };
        // A refusal stays one when it cannot be recorded; no key is used then either.
        if let Err(unwritable) = self.audit.recorded(event, Instant::now() + RECORD_LIMIT).await {
            tracing::error!(%unwritable, caller, %right, "a refusal is not in the audit log");
        }
    }
}

/// Whether a caller may have this work done with these keys.
pub(crate) fn judge(caller: &Caller, work: &Work, keys: &KeySet, now: i64) -> Result<(), Refused> {
    let right = right(work);
    let refused = |key: Option<&str>| {
        let key = key.map(str::to_owned);
        move |forbidden| Refused { forbidden, right, key }
    };
    caller.may(right).map_err(refused(None))?;
    // Only the serial of a key of ours goes into the log: anything else is a stranger's text.
    let own_key = |serial: &str| match keys.ring.decrypting(serial, now) {
        Some(key) => caller
            .may_use(key.certificate.serial(), right)
            .map_err(refused(Some(key.certificate.serial()))),
        None => Ok(()),
    };
    match work {
        Work::Open(open) => own_key(&open.encryption_serial),
        Work::Seal(seal) => own_key(&seal.encryption_serial),
        Work::Reveal(reveal) => {
            caller.may_reveal(reveal.field.kind).map_err(refused(None))?;
            own_key(&reveal.encryption_serial)
        }
        Work::Sign(sign) if audit::is_reserved(&sign.signed) => Err(refused(None)(Forbidden::LogAlone)),
        Work::Sign(sign) if caller.is_limited_to_keys() => {
            let candidates = keys.ring.signing(crypto_suite(sign.suite), now);
            let allowed = |serial: &str| caller.may_use(serial, right);
            let Some(newest) = candidates.first().map(|key| key.certificate.serial()) else {
                return Ok(());
            };
            if candidates.iter().any(|key| allowed(key.certificate.serial()).is_ok()) {
                return Ok(());
            }
            allowed(newest).map_err(refused(Some(newest)))
        }
        Work::Sign(_) | Work::Tokenise(_) => Ok(()),
    }
}

const fn right(work: &Work) -> Right {
    match work {
        Work::Open(_) => Right::Open,
        Work::Seal(_) => Right::Seal,
        Work::Sign(_) => Right::Sign,
        Work::Tokenise(_) => Right::Tokenise,
        Work::Reveal(_) => Right::Reveal,
    }
}
