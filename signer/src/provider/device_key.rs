//! A key in a device as the rest of the signer sees it: [`HeldKey`] over the sessions of a [`Pool`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use signer_crypto::{FieldKey, Suite};

use super::device::{Device, DeviceFault, Operation, Output, Patience, Pool};
use crate::held_key::{EnvelopeFailure, HeldKey, KeyFailure};

/// How long the start waits for a device to open a session and show a key.
const CHECK_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct DeviceKey<D: Device> {
    pool: Arc<Pool<D>>,
    key: Arc<D::Key>,
    suite: Suite,
}

impl<D: Device> DeviceKey<D> {
    pub(crate) fn new(pool: Arc<Pool<D>>, key: D::Key, suite: Suite) -> Self {
        Self {
            pool,
            key: Arc::new(key),
            suite,
        }
    }

    /// That the device has the key, that it is the certificate's and that it may be used. Does not use it.
    pub(crate) fn check(&self) -> Result<(), DeviceFault> {
        let patience = Patience {
            deadline: Instant::now() + CHECK_LIMIT,
            silence: CHECK_LIMIT,
        };
        let outcome = self.pool.perform(&self.key, vec![Operation::Check], patience).pop();
        outcome.expect("one operation has one outcome").map(drop)
    }

    fn perform(&self, operations: Vec<Operation>, deadline: Instant) -> Vec<Result<Output, DeviceFault>> {
        let silence = self.pool.options().call();
        self.pool.perform(&self.key, operations, Patience { deadline, silence })
    }
}

impl<D: Device> HeldKey for DeviceKey<D> {
    fn suite(&self) -> Suite {
        self.suite
    }

    fn provider(&self) -> &'static str {
        self.pool.options().kind
    }

    fn sign(&self, signed: &[&[u8]], deadline: Instant) -> Vec<Result<Vec<u8>, KeyFailure>> {
        let operations = signed.iter().map(|signed| Operation::Sign(signed.to_vec()));
        let outcomes = self.perform(operations.collect(), deadline).into_iter();
        let signatures = outcomes.map(|outcome| match outcome {
            Ok(Output::Signature(signature)) => Ok(signature),
            Ok(Output::Checked | Output::FieldKey(_)) => Err(not_asked_for()),
            Err(fault) => Err(key_failure(&fault)),
        });
        signatures.collect()
    }

    fn open_envelopes(&self, sealed: &[&[u8]], deadline: Instant) -> Vec<Result<FieldKey, EnvelopeFailure>> {
        let operations = sealed.iter().map(|sealed| Operation::Open(sealed.to_vec()));
        let outcomes = self.perform(operations.collect(), deadline).into_iter();
        let opened = outcomes.map(|outcome| match outcome {
            Ok(Output::FieldKey(field_key)) => Ok(field_key),
            Ok(Output::Checked | Output::Signature(_)) => Err(not_asked_for().into()),
            Err(DeviceFault::InputRefused) => Err(EnvelopeFailure::DoesNotOpen),
            Err(fault) => Err(key_failure(&fault).into()),
        });
        opened.collect()
    }
}

impl<D: Device> fmt::Debug for DeviceKey<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({:?}, {}, …)", self.pool, self.suite)
    }
}

fn not_asked_for() -> KeyFailure {
    KeyFailure::Failed("the session answered what it was not asked".to_owned())
}

/// Where another signer, whose device works, may do it, the key is unavailable; where the device had it and failed, the
/// use failed.
fn key_failure(fault: &DeviceFault) -> KeyFailure {
    match fault {
        DeviceFault::Failed(_) | DeviceFault::InputRefused => KeyFailure::Failed(fault.to_string()),
        DeviceFault::Away(_)
        | DeviceFault::Unusable(_)
        | DeviceFault::NoAnswer
        | DeviceFault::Busy
        | DeviceFault::LeftAlone(_) => KeyFailure::Unavailable(fault.to_string()),
    }
}
