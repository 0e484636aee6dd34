//! The little of DER that SM2 needs: a sequence of non-negative integers of at most 32 bytes and octet strings.
//!
//! Strict: one encoding for one value. Lengths and integers must be minimal and positive, nothing may follow. No length
//! is trusted before it is compared with what is there.

use super::{WORD_BYTES, Word};

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// Reads the elements of one sequence.
pub(crate) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// `bytes` must be one sequence and nothing else.
    pub(crate) fn of_sequence(bytes: &'a [u8]) -> Option<Self> {
        let (content, rest) = element(SEQUENCE, bytes)?;
        rest.is_empty().then_some(Self(content))
    }

    /// The next integer, left-padded to a word.
    pub(crate) fn word(&mut self) -> Option<Word> {
        let content = self.next(INTEGER)?;
        let magnitude = match content {
            [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => rest,
            [0] => &[],
            [0 | 0x80..=0xFF, ..] | [] => return None,
            _ => content,
        };
        let mut word = [0; WORD_BYTES];
        let start = WORD_BYTES.checked_sub(magnitude.len())?;
        word.get_mut(start..)?.copy_from_slice(magnitude);
        Some(word)
    }

    /// The content of the next sequence.
    pub(crate) fn sequence(&mut self) -> Option<&'a [u8]> {
        self.next(SEQUENCE)
    }

    pub(crate) fn octets(&mut self) -> Option<&'a [u8]> {
        self.next(OCTET_STRING)
    }

    /// That nothing is left.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (content, rest) = element(tag, self.0)?;
        self.0 = rest;
        Some(content)
    }
}

/// One element of the wanted tag at the start of `bytes`: its content and what follows it.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match bytes.strip_prefix(&[tag])? {
        [len @ 0..=0x7F, rest @ ..] | [0x81, len @ 0x80..=0xFF, rest @ ..] => (u16::from(*len), rest),
        [0x82, high @ 1..=0xFF, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return None,
    };
    rest.split_at_checked(usize::from(len))
}

/// Writes the elements of one sequence.
#[derive(Default)]
pub(crate) struct Sequence(Vec<u8>);

impl Sequence {
    pub(crate) fn word(mut self, word: &Word) -> Self {
        let zeros = word.iter().take(WORD_BYTES - 1).take_while(|byte| **byte == 0).count();
        let magnitude = word.iter().copied().skip(zeros);
        let sign = magnitude.clone().next().is_some_and(|first| first & 0x80 != 0);
        let content: Vec<u8> = std::iter::repeat_n(0, usize::from(sign)).chain(magnitude).collect();
        write_element(&mut self.0, INTEGER, &content);
        self
    }

    /// At most 64 KiB.
    pub(crate) fn octets(mut self, octets: &[u8]) -> Self {
        write_element(&mut self.0, OCTET_STRING, octets);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() + 4);
        write_element(&mut out, SEQUENCE, &self.0);
        out
    }
}

fn write_element(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    let len = u16::try_from(content.len()).expect("an element of an SM2 structure is far below 64 KiB");
    let [high, low] = len.to_be_bytes();
    out.push(tag);
    match (high, low) {
        (0, 0..=0x7F) => out.push(low),
        (0, _) => out.extend_from_slice(&[0x81, low]),
        _ => out.extend_from_slice(&[0x82, high, low]),
    }
    out.extend_from_slice(content);
}
