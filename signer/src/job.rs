//! A piece of work on its way through the queue, with the place its answer goes to.

use std::sync::Arc;
use std::time::Instant;

use signer_protocol::{EncryptedField, Open, Reveal, Seal, Sign, Tokenise, Work};

use crate::policy::Caller;
use crate::queue::Lane;
use crate::replies::ReplySlot;

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every job is work; a box for each would be an allocation for each"
)]
pub(crate) enum Job {
    Work(Asked<Work>),
    /// A trial of all keys; whoever asked for it waits at the health board.
    Health,
}

/// Work with what it needs to be answered.
#[derive(Debug)]
pub(crate) struct Asked<W> {
    pub(crate) work: W,
    /// Whose policy allows it.
    pub(crate) caller: Arc<Caller>,
    pub(crate) arrived: Instant,
    /// After this nobody waits for the answer.
    pub(crate) deadline: Instant,
    pub(crate) reply: ReplySlot,
}

impl<W> Asked<W> {
    pub(crate) fn with<V>(self, change: impl FnOnce(W) -> V) -> Asked<V> {
        Asked {
            work: change(self.work),
            caller: self.caller,
            arrived: self.arrived,
            deadline: self.deadline,
            reply: self.reply,
        }
    }
}

/// Work and who asks for it.
#[derive(Debug)]
pub(crate) struct By<'w, W> {
    pub(crate) work: &'w W,
    pub(crate) caller: &'w Arc<Caller>,
}

impl<W> Clone for By<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for By<'_, W> {}

impl<W> Asked<W> {
    pub(crate) const fn by(&self) -> By<'_, W> {
        By {
            work: &self.work,
            caller: &self.caller,
        }
    }
}

pub(crate) const fn lane(work: &Work) -> Lane {
    match work {
        Work::Sign(_) => Lane::Signing,
        Work::Seal(_) => Lane::Sealing,
        Work::Open(_) | Work::Tokenise(_) | Work::Reveal(_) => Lane::Opening,
    }
}

/// What a piece of work holds in memory, roughly: its bytes, and for every part of it what holding it costs.
pub(crate) fn held_bytes(work: &Work) -> usize {
    const PART: usize = 64;
    let field = |field: &EncryptedField| field.ciphertext.len() + PART;
    let bytes = match work {
        Work::Open(Open {
            signed,
            signature,
            envelope,
            fields,
            ..
        }) => signed.len() + signature.len() + envelope.len() + fields.iter().map(field).sum::<usize>(),
        Work::Seal(Seal { envelope, fields, .. }) => {
            envelope.len() + fields.iter().map(|field| field.len() + PART).sum::<usize>()
        }
        Work::Sign(Sign { signed, .. }) => signed.len(),
        Work::Tokenise(Tokenise { plaintexts, .. }) => plaintexts.iter().map(|text| text.len() + PART).sum(),
        Work::Reveal(Reveal {
            envelope, field: one, ..
        }) => envelope.len() + field(one),
    };
    bytes + 8 * PART
}
