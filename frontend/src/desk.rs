//! What every message needs and no message changes: the two neighbours, the rules, the code table, the clock.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use frontend_messages::Profile;
use ledger_model::InstitutionId;
use signer_protocol::{SignerFault, Suite};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::codes::CodeTable;
use crate::metrics::Metrics;
use crate::neighbours::Signer;

#[derive(Debug)]
pub struct Desk<S, B> {
    pub signer: S,
    pub books: B,
    pub rules: Rules,
    pub codes: CodeTable,
    pub metrics: Arc<Metrics>,
    pub serials: SigningSerials,
}

/// What a message is held against.
#[derive(Debug, Clone)]
pub struct Rules {
    /// This bank.
    pub bank: InstitutionId,
    /// The only institution whose messages are taken.
    pub network: InstitutionId,
    pub profile: Profile,
    pub clock: Clock,
    /// Suite of an answer to a message whose own could not be told.
    pub default_suite: Suite,
    /// From the request head to the signed answer.
    pub answer_within: Duration,
    /// The end of it that is kept for signing.
    pub signing_reserve: Duration,
}

/// The serials of the bank's current signing keys. A serial is part of what is signed, so it must be known before; it
/// changes once a year or so, so it is not asked for each time.
#[derive(Debug, Default)]
pub struct SigningSerials {
    rsa: RwLock<Option<Arc<str>>>,
    sm: RwLock<Option<Arc<str>>>,
}

impl Rules {
    /// By when the answer must be signed.
    pub fn answer_deadline(&self, arrived: Instant) -> Instant {
        arrived + self.answer_within
    }

    /// By when everything else must be done.
    pub fn work_deadline(&self, arrived: Instant) -> Instant {
        arrived + self.answer_within.saturating_sub(self.signing_reserve)
    }
}

impl SigningSerials {
    pub async fn current<S: Signer>(
        &self,
        signer: &S,
        suite: Suite,
        deadline: Instant,
    ) -> Result<Arc<str>, SignerFault> {
        // a poisoned lock still holds a whole value: it is only ever replaced
        let known = self.of(suite).read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(serial) => Ok(serial),
            None => Ok(self.learn(suite, signer.signing_serial(suite, deadline).await?)),
        }
    }

    /// The signer signed under this serial: it is the current one.
    pub fn learn(&self, suite: Suite, serial: String) -> Arc<str> {
        let serial: Arc<str> = serial.into();
        *self.of(suite).write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&serial));
        serial
    }

    const fn of(&self, suite: Suite) -> &RwLock<Option<Arc<str>>> {
        match suite {
            Suite::Rsa => &self.rsa,
            Suite::Sm => &self.sm,
        }
    }
}
