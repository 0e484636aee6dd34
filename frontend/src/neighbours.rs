//! The two processes the frontend asks: the signer and the ledger. Traits, so that the life of a message can be tested
//! without either; the clients of the two protocol packages are the only implementations outside tests.

use ledger_model::{Instruction, TransferKey};
use ledger_protocol::{Evidence, LedgerClient, PostReply, QueryReply};
use signer_protocol::{Open, OpenVerdict, Seal, Sealed, Sign, Signature, SignerClient, SignerFault, Suite};
use tokio::time::Instant;

/// Verifies, opens, seals and signs. Whatever fails here, nothing was posted by it.
pub trait Signer: Send + Sync + 'static {
    fn open(&self, work: Open, deadline: Instant) -> impl Future<Output = Result<OpenVerdict, SignerFault>> + Send;

    fn seal(&self, work: Seal, deadline: Instant) -> impl Future<Output = Result<Sealed, SignerFault>> + Send;

    fn sign(&self, work: Sign, deadline: Instant) -> impl Future<Output = Result<Signature, SignerFault>> + Send;

    fn signing_serial(
        &self,
        suite: Suite,
        deadline: Instant,
    ) -> impl Future<Output = Result<String, SignerFault>> + Send;
}

/// Posts and remembers. Never an error: that the outcome is not known is an outcome.
pub trait Books: Send + Sync + 'static {
    fn post(
        &self,
        instruction: Instruction,
        evidence: Evidence,
        deadline: Instant,
    ) -> impl Future<Output = PostReply> + Send;

    fn query(&self, key: TransferKey, deadline: Instant) -> impl Future<Output = QueryReply> + Send;
}

impl Signer for SignerClient {
    fn open(&self, work: Open, deadline: Instant) -> impl Future<Output = Result<OpenVerdict, SignerFault>> + Send {
        Self::open(self, work, deadline)
    }

    fn seal(&self, work: Seal, deadline: Instant) -> impl Future<Output = Result<Sealed, SignerFault>> + Send {
        Self::seal(self, work, deadline)
    }

    fn sign(&self, work: Sign, deadline: Instant) -> impl Future<Output = Result<Signature, SignerFault>> + Send {
        self.sign_as(work, deadline)
    }

    fn signing_serial(
        &self,
        suite: Suite,
        deadline: Instant,
    ) -> impl Future<Output = Result<String, SignerFault>> + Send {
        Self::signing_serial(self, suite, deadline)
    }
}

impl Books for LedgerClient {
    fn post(
        &self,
        instruction: Instruction,
        evidence: Evidence,
        deadline: Instant,
    ) -> impl Future<Output = PostReply> + Send {
        Self::post(self, instruction, evidence, deadline)
    }

    fn query(&self, key: TransferKey, deadline: Instant) -> impl Future<Output = QueryReply> + Send {
        Self::query(self, key, deadline)
    }
}
