//! The two cryptographic suites of the message profile behind one small set of types: signatures, digital envelopes,
//! field encryption and tokens.
//!
//! What a caller sees is a [`Certificate`] (a peer's public key), a [`PrivateKey`] (the bank's own), a [`FieldKey`] (the
//! key of one message's fields) and a [`TokenKey`]. Which algorithm runs follows from the key, never from the message.
//!
//! Invariants: a secret is wiped when it is dropped and prints nothing of itself; whatever a stranger sends (signature,
//! envelope, ciphertext) gives a verdict and never a panic; decryption has one error for every cause.
//!
//! No I/O and no clock: files, dates and revocation are the caller's. Certificates are trusted because the operator
//! configured them one by one; chains are not built here.

mod batch;
mod certificate;
pub mod device;
mod envelope;
mod fault;
mod field;
mod hexadecimal;
#[cfg(any(test, feature = "inside"))]
pub mod inside;
mod padding;
mod private_key;
mod rsa;
mod secret;
mod self_test;
mod sm;
mod sm3;
mod sm4;
mod suite;
mod token;

pub use batch::{Sealing, Verification, seal_all, verify_all};
pub use certificate::{Certificate, CertificateFault};
pub use fault::{CryptoFault, DoesNotOpen, SignatureWrong};
pub use field::FieldKey;
pub use private_key::{KeyFault, PrivateKey};
pub use secret::{Passphrase, Plaintext};
pub use self_test::{SelfTestFault, self_test};
pub use sm::signature::TableUse;
pub use suite::{FieldKind, Suite};
pub use token::TokenKey;
