//! Stand-ins for the signer and the ledger. They do what a test tells them and remember what they were asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use frontend::clock::Clock;
use frontend::codes::CodeTable;
use frontend::desk::{Desk, Rules, SigningSerials};
use frontend::metrics::Metrics;
use frontend::neighbours::{Books, Signer};
use frontend_messages::Profile;
use ledger_model::{BankSerial, Decision, Instruction, Payee, Transfer, TransferKey};
use ledger_protocol::{Evidence, PostReply, QueryReply};
use sha2::{Digest, Sha256};
use signer_protocol::{Open, OpenVerdict, Rejection, Seal, Sealed, Sign, Signature, SignerFault, Suite, Tokens};
use tokio::time::Instant;

use crate::messages::{BANK, NETWORK};

/// 2026-03-02T10:00:01 in China.
pub(crate) const NOW_UNIX_SECONDS: i64 = 1_772_416_801;
pub(crate) const FIRST_SERIAL: &str = "4000000201";

pub(crate) struct StandInSigner {
    pub(crate) suite: Suite,
    pub(crate) rejects: Option<Rejection>,
    pub(crate) open_fails: Option<SignerFault>,
    pub(crate) seal_fails: Option<SignerFault>,
    pub(crate) sign_fails: Option<SignerFault>,
    /// Two signers take turns, and only the one that signs first has the new key beside the old.
    pub(crate) is_half_rotated: bool,
    /// How many times the signing key is replaced after its serial was told.
    pub(crate) rotations: usize,
    pub(crate) tokens_withheld: usize,
    pub(crate) opened: Mutex<Vec<Open>>,
    pub(crate) sealed: Mutex<Vec<Seal>>,
    pub(crate) signings: AtomicUsize,
}

impl Default for StandInSigner {
    fn default() -> Self {
        Self {
            suite: Suite::Sm,
            rejects: None,
            open_fails: None,
            seal_fails: None,
            sign_fails: None,
            is_half_rotated: false,
            rotations: 0,
            tokens_withheld: 0,
            opened: Mutex::default(),
            sealed: Mutex::default(),
            signings: AtomicUsize::new(0),
        }
    }
}

impl StandInSigner {
    /// The n-th key of the bank's; the suite is part of the serial, so that an answer shows it.
    fn serial(suite: Suite, rotation: usize) -> String {
        let first: usize = FIRST_SERIAL.parse().unwrap();
        let of_suite = match suite {
            Suite::Sm => first,
            Suite::Rsa => first + 100,
        };
        (of_suite + rotation).to_string()
    }

    pub(crate) fn signature(serial: &str, signed: &[u8]) -> Vec<u8> {
        let mut digest = Sha256::new();
        digest.update(serial);
        digest.update(signed);
        digest.finalize().to_vec()
    }

    pub(crate) fn token(ciphertext: &[u8]) -> [u8; 32] {
        Sha256::digest(ciphertext).into()
    }
}

impl Signer for StandInSigner {
    async fn open(&self, work: Open, _: Instant) -> Result<OpenVerdict, SignerFault> {
        let tokens = work
            .fields
            .iter()
            .skip(self.tokens_withheld)
            .map(|field| Self::token(&field.ciphertext))
            .collect();
        self.opened.lock().unwrap().push(work);
        match (&self.open_fails, self.rejects) {
            (Some(fault), _) => Err(fault.clone()),
            (None, Some(rejection)) => Ok(OpenVerdict::Rejected(rejection)),
            (None, None) => Ok(OpenVerdict::Opened {
                suite: self.suite,
                tokens: Tokens {
                    tokens,
                    ..Tokens::default()
                },
            }),
        }
    }

    async fn seal(&self, work: Seal, _: Instant) -> Result<Sealed, SignerFault> {
        let fields = work
            .fields
            .iter()
            .map(|field| [b"again ", &field[..]].concat())
            .collect();
        self.sealed.lock().unwrap().push(work);
        match &self.seal_fails {
            Some(fault) => Err(fault.clone()),
            None => Ok(Sealed {
                encryption_serial: "4000000111".to_owned(),
                envelope: vec![7; 32],
                fields,
            }),
        }
    }

    async fn sign(&self, work: Sign, _: Instant) -> Result<Signature, SignerFault> {
        if let Some(fault) = &self.sign_fails {
            return Err(fault.clone());
        }
        let signing = self.signings.fetch_add(1, Ordering::Relaxed) + 1;
        let mut serial = Self::serial(work.suite, signing.min(self.rotations));
        if self.is_half_rotated {
            let (old, new) = (Self::serial(work.suite, 0), Self::serial(work.suite, 1));
            let has_both = signing % 2 == 1;
            serial = if has_both && work.signing_serial != old {
                new
            } else {
                old
            };
        }
        let bytes = Self::signature(&serial, &work.signed);
        Ok(Signature { serial, bytes })
    }

    async fn signing_serial(&self, suite: Suite, _: Instant) -> Result<String, SignerFault> {
        match &self.sign_fails {
            Some(fault) => Err(fault.clone()),
            None => Ok(Self::serial(suite, 0)),
        }
    }
}

type Posting = Box<dyn Fn(&Instruction) -> PostReply + Send + Sync>;

pub(crate) struct StandInBooks {
    pub(crate) posts: Posting,
    pub(crate) finds: QueryReply,
    /// Answers only when the deadline has come.
    pub(crate) slow: bool,
    pub(crate) posted: Mutex<Vec<(Instruction, Evidence)>>,
    pub(crate) queried: Mutex<Vec<TransferKey>>,
}

impl Default for StandInBooks {
    fn default() -> Self {
        Self::posting(|instruction| decided(instruction, Decision::Posted))
    }
}

impl StandInBooks {
    pub(crate) fn posting(posts: impl Fn(&Instruction) -> PostReply + Send + Sync + 'static) -> Self {
        Self {
            posts: Box::new(posts),
            finds: QueryReply::NotFound,
            slow: false,
            posted: Mutex::default(),
            queried: Mutex::default(),
        }
    }

    pub(crate) fn finding(finds: QueryReply) -> Self {
        Self {
            finds,
            ..Self::default()
        }
    }
}

impl Books for StandInBooks {
    async fn post(&self, instruction: Instruction, evidence: Evidence, deadline: Instant) -> PostReply {
        if self.slow {
            tokio::time::sleep_until(deadline).await;
        }
        let reply = (self.posts)(&instruction);
        self.posted.lock().unwrap().push((instruction, evidence));
        reply
    }

    async fn query(&self, key: TransferKey, _: Instant) -> QueryReply {
        self.queried.lock().unwrap().push(key);
        self.finds.clone()
    }
}

pub(crate) fn decided(instruction: &Instruction, decision: Decision) -> PostReply {
    PostReply::Decided {
        transfer: transfer(instruction, decision),
        repeat: false,
    }
}

pub(crate) fn repeated(instruction: &Instruction, decision: Decision) -> PostReply {
    PostReply::Decided {
        transfer: transfer(instruction, decision),
        repeat: true,
    }
}

pub(crate) fn transfer(instruction: &Instruction, decision: Decision) -> Transfer {
    let (agreement, account, original) = match instruction {
        Instruction::Payment(payment) => (Some(payment.agreement), None, None),
        Instruction::Refund(refund) => (Some(refund.agreement), None, Some(refund.original)),
        Instruction::Payout(payout) => match payout.payee {
            Payee::Account { token, .. } => (None, Some(token), None),
            Payee::Agreement(agreement) => (Some(agreement), None, None),
        },
        Instruction::Reversal(reversal) => (None, None, Some(reversal.original)),
        Instruction::Supplement(supplement) => (None, Some(supplement.account), None),
    };
    Transfer {
        key: *instruction.key(),
        kind: instruction.kind(),
        amount: instruction.amount(),
        batch: instruction.batch(),
        institution: instruction.institution(),
        agreement,
        account,
        original,
        details: instruction.details(),
        decision,
        serial: "202603020000000000000017".parse::<BankSerial>().unwrap(),
        decided_at: "2026-03-02T10:00:01".parse().unwrap(),
    }
}

pub(crate) fn rules() -> Rules {
    Rules {
        bank: BANK.parse().unwrap(),
        network: NETWORK.parse().unwrap(),
        profile: Profile::default(),
        clock: Clock::reading(|| NOW_UNIX_SECONDS, None),
        default_suite: Suite::Sm,
        answer_within: Duration::from_millis(2_500),
        signing_reserve: Duration::from_millis(400),
    }
}

pub(crate) fn desk(signer: StandInSigner, books: StandInBooks) -> Desk<StandInSigner, StandInBooks> {
    Desk {
        signer,
        books,
        rules: rules(),
        codes: CodeTable::built_in(),
        metrics: Arc::new(Metrics::new().0),
        serials: SigningSerials::default(),
    }
}
