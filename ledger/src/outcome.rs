//! What the ledger answers, and to whom.

use ledger_model::{ContentField, Transfer};
use ledger_protocol::{NothingPosted, wire};
use tokio::sync::mpsc::OwnedPermit;

/// What came of one piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every outcome is the large one")]
pub enum Outcome {
    /// Durable, now or before.
    Decided {
        transfer: Transfer,
        repeat: bool,
    },
    Conflict(ContentField),
    NotFound,
    /// May or may not post.
    InProcess,
    /// Definite.
    NothingPosted(NothingPosted),
}

/// An outcome on its way to the stream its work came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Of the work, as the client numbered it.
    pub number: u64,
    pub outcome: Outcome,
}

/// Where an answer goes. Holds its place in the stream's replies, so answering never waits: a client that does not
/// read holds up its own work, not a shard.
#[derive(Debug)]
pub struct ReplyTo {
    pub number: u64,
    pub place: OwnedPermit<Answer>,
}

impl ReplyTo {
    pub fn answer(self, outcome: Outcome) {
        let Self { number, place } = self;
        // a client that has gone is not waited for; a resend or a query tells it the outcome
        place.send(Answer { number, outcome });
    }
}

/// The wire form of a batch of answers.
pub fn pack(answers: Vec<Answer>) -> wire::ReplyBatch {
    wire::ReplyBatch {
        items: answers.into_iter().map(Into::into).collect(),
    }
}

impl From<Answer> for wire::Reply {
    fn from(answer: Answer) -> Self {
        let what = match answer.outcome {
            Outcome::Decided { transfer, repeat } => wire::reply::What::Decided(wire::Decided {
                transfer: Some((&transfer).into()),
                repeat,
            }),
            Outcome::Conflict(field) => wire::reply::What::Conflict(field.into()),
            Outcome::NotFound => wire::reply::What::NotFound(wire::NotFound {}),
            Outcome::InProcess => wire::reply::What::InProcess(wire::InProcess {}),
            Outcome::NothingPosted(reason) => wire::reply::What::NothingPosted(nothing_posted(reason)),
        };
        Self {
            number: answer.number,
            what: Some(what),
        }
    }
}

pub(crate) fn nothing_posted(reason: NothingPosted) -> wire::NothingPosted {
    use wire::nothing_posted::Cause;
    let (cause, text) = match reason {
        NothingPosted::Expired => (Cause::Expired, "the deadline passed before the ledger began"),
        NothingPosted::Busy | NothingPosted::NotSent => (Cause::Busy, "the ledger is too busy"),
        NothingPosted::Store => (Cause::Store, "the store could not be read"),
        NothingPosted::HomeDown => (Cause::HomeDown, "the account's home cannot be reached"),
        NothingPosted::MalformedWork => (Cause::MalformedWork, "the work is not as the contract says"),
    };
    wire::NothingPosted {
        cause: cause.into(),
        text: text.to_owned(),
    }
}
