//! The last step: time, serial and signature on an answer.

use frontend_messages::{MessageHeader, assemble};
use signer_protocol::{Sign, SignerFault, Suite};
use tokio::time::Instant;

use crate::desk::Desk;
use crate::http::HeaderLines;
use crate::neighbours::Signer;
use crate::respond::{Draft, SignedAnswer};

#[derive(Debug, thiserror::Error)]
pub enum Unsigned {
    #[error("the signer did not sign")]
    Signer(#[from] SignerFault),
    #[error("the bank's signing serial changed {SIGNINGS_MAX} times within one answer")]
    SerialUnsteady,
}

/// A key is replaced between the asking for its serial and the signing perhaps once a year. While one of several
/// signers has the new key and another has not, the first signing may be by one, the second by the other; from then on
/// the key is named and both have it.
const SIGNINGS_MAX: usize = 3;

/// Writes the answer under the serial of the key that will sign it. The signer names the key it really used: where
/// that is another, the answer is written and signed anew.
pub async fn sign<S: Signer, B>(
    desk: &Desk<S, B>,
    draft: Draft,
    suite: Suite,
    lines: HeaderLines,
    deadline: Instant,
) -> Result<SignedAnswer, Unsigned> {
    let message_type = draft.answer.message_type();
    let mut serial = desk.serials.current(&desk.signer, suite, deadline).await?;
    let mut header = MessageHeader {
        sent_at: desk.rules.clock.now(),
        message_type,
        issuer: desk.rules.bank,
        direction: draft.direction,
        signing_serial: String::new(),
        envelope: draft.envelope,
    };
    for signing in 0..SIGNINGS_MAX {
        header.signing_serial.replace_range(.., &serial);
        let root = draft.answer.write(&header);
        let work = Sign {
            suite,
            signed: root.clone().into_bytes(),
            // first by the newest key, so that a new one is used from its first second on; then by the one it names
            signing_serial: if signing == 0 {
                String::new()
            } else {
                serial.to_string()
            },
        };
        let signature = desk.signer.sign(work, deadline).await?;
        if *signature.serial == *serial {
            let body = assemble(&root, &signature.bytes);
            return Ok(SignedAnswer {
                body,
                message_type,
                issuer: desk.rules.bank,
                lines,
            });
        }
        serial = desk.serials.learn(suite, signature.serial);
    }
    Err(Unsigned::SerialUnsteady)
}
