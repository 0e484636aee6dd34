//! Base64 as the network writes it: the standard alphabet with padding, perhaps wrapped by XML white space.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// `None` where it is not base64. White space is dropped wherever it stands.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(unwrapped(text).as_ref()).ok()
}

/// One line, padded.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn unwrapped(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if bytes.iter().copied().any(is_space) {
        bytes.iter().copied().filter(|byte| !is_space(*byte)).collect()
    } else {
        Cow::Borrowed(bytes)
    }
}
