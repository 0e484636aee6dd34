//! HMAC (RFC 2104) with SM3, keyed once.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::batch::{self, Start};
use super::lanes::Lanes;
use super::{BLOCK_BYTES, Block, DIGEST_BYTES, Digest, INITIAL, State, digest, single};

/// The states behind the two padded keys, so that a message costs no more than its own blocks and one. Wiped when
/// dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Hmac {
    inner: State,
    outer: State,
}

impl Hmac {
    /// From a key of any length.
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut padded: Zeroizing<Block> = Zeroizing::new([0; BLOCK_BYTES]);
        if let Some(place) = padded.get_mut(..key.len()) {
            place.copy_from_slice(key);
        } else {
            let (place, _) = padded.split_at_mut(DIGEST_BYTES);
            place.copy_from_slice(&digest(&[key]));
        }
        Self {
            inner: state_behind(&padded, 0x36),
            outer: state_behind(&padded, 0x5C),
        }
    }

    /// Of the parts one after another, singly.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> Digest {
        let inner = Zeroizing::new(batch::digest(&start(&self.inner), parts));
        batch::digest(&start(&self.outer), &[inner.as_slice()])
    }

    /// Of each message, which is the parts of its array one after another; in their order.
    pub(crate) fn mac_all<const PARTS: usize>(&self, messages: &[[&[u8]; PARTS]]) -> Vec<Digest> {
        self.mac_all_with(messages, Lanes::detect())
    }

    pub(super) fn mac_all_with<const PARTS: usize>(
        &self,
        messages: &[[&[u8]; PARTS]],
        lanes: Option<Lanes>,
    ) -> Vec<Digest> {
        let inner = Zeroizing::new(batch::digest_all(&start(&self.inner), messages, lanes));
        let inner: Vec<[&[u8]; 1]> = inner.iter().map(|digest| [digest.as_slice()]).collect();
        batch::digest_all(&start(&self.outer), &inner, lanes)
    }
}

const fn start(state: &State) -> Start<'_> {
    Start {
        state,
        bytes_before: 64,
    }
}

/// The state behind the one block that the padded key makes with `pad`.
fn state_behind(key: &Block, pad: u8) -> State {
    let block = Zeroizing::new(key.map(|byte| byte ^ pad));
    let mut state = INITIAL;
    single::compress(&mut state, &[*block]);
    state
}
