//! The most that one piece of work may hold. The signer refuses what is beyond as malformed, before any work on it.

/// The signed part of a message: the profile's largest body.
pub const SIGNED_BYTES_MAX: usize = 65_536;
/// A signature, of either suite, of any key that a certificate may carry.
pub const SIGNATURE_BYTES_MAX: usize = 1024;
/// A digital envelope.
pub const ENVELOPE_BYTES_MAX: usize = 1024;
/// A serial number, as text.
pub const SERIAL_BYTES_MAX: usize = 64;
/// The name of an institution.
pub const INSTITUTION_BYTES_MAX: usize = 32;
/// Encrypted fields of one message.
pub const FIELDS_MAX: usize = 16;
/// One encrypted field.
pub const FIELD_BYTES_MAX: usize = 4096;
/// Plaintexts in one piece of tokenising; the client splits longer lists.
pub const PLAINTEXTS_MAX: usize = 4096;
/// One plaintext of them.
pub const PLAINTEXT_BYTES_MAX: usize = 512;
/// The purpose of a reveal.
pub const PURPOSE_BYTES_MAX: usize = 64;
/// One gRPC message: a batch of the largest messages with their fields.
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// Pieces of work the client puts into one batch.
pub const BATCH_ITEMS_MAX: usize = 64;

const MESSAGE_BYTES_MAX: usize = SIGNED_BYTES_MAX + FIELDS_MAX * FIELD_BYTES_MAX + 2 * ENVELOPE_BYTES_MAX;
const _: () = assert!(BATCH_ITEMS_MAX * MESSAGE_BYTES_MAX < BATCH_BYTES_MAX);
const _: () = assert!(PLAINTEXTS_MAX * PLAINTEXT_BYTES_MAX < BATCH_BYTES_MAX);
