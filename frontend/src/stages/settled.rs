//! Settled: what came of an order. All of it is answered as a message that was handled; only money decides success.

use ledger_model::{ContentField, Transfer, TransferKind};

use super::sealed::Echo;
use super::setback::Origin;

#[derive(Debug)]
pub enum Settled {
    Transfer {
        outcome: Outcome,
        kind: TransferKind,
        echo: Echo,
        origin: Origin,
    },
    Query {
        finding: Finding,
        origin: Origin,
    },
}

#[derive(Debug)]
pub enum Outcome {
    Posted(Transfer),
    /// The same message was decided before; this is what was decided then.
    Repeat(Transfer),
    Refused(Transfer),
    /// The id was used before for other content, which differs first in this field. Nothing was posted.
    Conflict(ContentField),
    /// May or may not have posted; a later query tells.
    Unknown,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every finding is of the large kind")]
pub enum Finding {
    Found(Transfer),
    NotFound,
    /// Being decided right now.
    InProcess,
    /// The ledger could not be asked in time.
    Unanswered,
}

impl Settled {
    pub const fn origin(&self) -> &Origin {
        match self {
            Self::Transfer { origin, .. } | Self::Query { origin, .. } => origin,
        }
    }
}
