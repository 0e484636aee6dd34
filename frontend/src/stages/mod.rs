//! The stages of a message. Each is built in one place, has private fields and is consumed by the next:
//!
//! ```text
//! Received ─frame→ Framed ─parse→ Parsed ─verify→ Verified ─instruct→ PostOrder ─seal→ SealedOrder ─post→ Settled
//!                                                           └───────→ LookUpOrder ────────look_up──────────┘
//! ```
//!
//! The order is the safety: nothing that was not verified can be posted, and nothing is posted whose answer could not
//! be given, because the functions for it do not exist. Whatever goes wrong on the way is a [`Setback`], which knows
//! as much of the message as had been read.

mod framed;
mod order;
mod parsed;
mod received;
mod sealed;
mod setback;
mod settled;
mod verified;

pub use framed::Framed;
pub use order::{LookUpOrder, Order, PostOrder};
pub use parsed::Parsed;
pub use received::Received;
pub use sealed::{Echo, SealedOrder, TransferEcho};
pub use setback::{Fault, Origin, Setback};
pub use settled::{Finding, Outcome, Settled};
pub use verified::Verified;
