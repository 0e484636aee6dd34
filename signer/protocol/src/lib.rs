//! The signer's contract for other processes: what can be asked, what is answered, and the client that asks.
//!
//! Callers use [`SignerClient`] and the plain types here. The types of the wire are in [`wire`], for the process that
//! serves them; everything that crosses from one to the other goes through the conversions of this crate, so a length
//! or a kind is checked once, at the edge. Nothing here verifies, decrypts or holds a key.
#![forbid(unsafe_code)]

mod answer;
mod client;
pub mod limits;
mod pool;
mod redacted;
mod work;
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::as_conversions,
    missing_debug_implementations,
    unreachable_pub,
    reason = "generated code"
)]
pub mod wire {
    //! Generated from `proto/signer.proto`.
    tonic::include_proto!("signer.v1");
}

pub use answer::{Answer, Failure, KeyHealth, OpenVerdict, Rejection, Revealed, Sealed, Signature, Token, Tokens};
pub use client::{SignerClient, SignerFault};
pub use pool::{ConnectFault, MEMBERS_MAX, MemberStatus, PoolStatus, Standing};
pub use work::{EncryptedField, FieldKind, MalformedWork, Open, Reveal, Seal, Sign, Suite, Tokenise, Work};
