//! The splitter: where the signed bytes and the signature lie in a body.
//!
//! ```text
//!  <?xml version="1.0" encoding="UTF-8"?>  <root xmlns="…"> … </root>  {S:MEUCIQ…=}
//!  └──────────── declaration ───────────┘  └──── signed bytes ──────┘  └ signature ┘
//! ```
//!
//! One strict pass over this grammar:
//!
//! ```text
//!  body        = declaration  space*  root  space*  signature  space*
//!  declaration = "<?xml"  version  encoding  standalone?  space*  "?>"
//!  version     = space+ "version"    eq  ( '"1.0"' | "'1.0'" )
//!  encoding    = space+ "encoding"   eq  ( UTF-8 in quotes, letters of either case )
//!  standalone  = space+ "standalone" eq  ( yes or no in quotes )
//!  eq          = space* "=" space*
//!  root        = first-tag  ( text | tag )*  "</root>"
//!  first-tag   = a tag that starts "<root" and goes on with space or ">"
//!  text        = any bytes but "<"
//!  tag         = "<" ( bytes but "<", ">" and quotes | '"' bytes but '"' and "<" '"' | "'" likewise "'" )* ">"
//!                which starts with neither "<!" nor "<?", and is no second tag named root
//!  signature   = "{S:"  ( base64 character | space )+  "}"
//!  space       = 0x20 | 0x09 | 0x0D | 0x0A
//! ```
//!
//! Beyond the grammar: the body is UTF-8 without byte-order mark, and `{S:` stands in it once, the text inside root
//! included (a writer has `&#123;S:` for it). Since no element inside root may be named root, the first `</root>` that is
//! a tag is the end: one that stands in an attribute value is inside a tag, and a text cannot contain `<`. Comments, CDATA
//! sections and the like are refused rather than skipped, so they can hide nothing.
//!
//! Whether what lies between is well-formed is not asked here. The reader gets the signed bytes only and must find
//! exactly one root element in them.

use std::fmt;

use crate::Construct;
use crate::base64_text::{self, is_space};

/// A body's two parts that matter. The signed bytes are the received ones, from `<root` to `</root>`, both included.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    signed: &'a [u8],
    signature: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("the body starts with a byte-order mark")]
    ByteOrderMark,
    #[error("no XML declaration")]
    DeclarationMissing,
    #[error("bytes before the XML declaration")]
    BytesBeforeDeclaration,
    #[error("the XML declaration is not version 1.0, encoding and perhaps standalone")]
    DeclarationForm,
    #[error("the XML declaration names another encoding than UTF-8")]
    DeclarationCharset,
    #[error("no root element after the XML declaration")]
    RootMissing,
    #[error("{0} in the frame")]
    Forbidden(Construct),
    #[error("a tag is not closed or has a less-than sign in it")]
    TagForm,
    #[error("the root element does not end")]
    RootUnclosed,
    #[error("a second root element")]
    SecondRoot,
    #[error("bytes between root and signature")]
    BytesBeforeSignature,
    #[error("no signature after root")]
    SignatureMissing,
    #[error("the signature does not end")]
    SignatureUnclosed,
    #[error("the signature is empty")]
    SignatureEmpty,
    #[error("the signature is not base64")]
    SignatureNotBase64,
    #[error("a second signature")]
    SecondSignature,
    #[error("bytes after the signature")]
    BytesAfterSignature,
}

const DECLARATION_START: &str = "<?xml";
const ROOT_START: &str = "<root";
pub(crate) const ROOT_END: &str = "</root>";
const SIGNATURE_START: &str = "{S:";

/// Finds the signed bytes and the signature. No copy is made of the former.
pub fn split(body: &[u8]) -> Result<Frame<'_>, FrameFault> {
    let text = std::str::from_utf8(body).map_err(|_| FrameFault::NotUtf8)?;
    let (root, rest) = root(after_declaration(text)?)?;
    let (signature, rest) = signature(rest)?;
    if !rest.is_empty() {
        return Err(stray(rest, FrameFault::BytesAfterSignature));
    }
    // by its first character: several times faster than a search for all three
    if root.split('{').skip(1).any(|rest| rest.starts_with("S:")) {
        return Err(FrameFault::SecondSignature);
    }
    Ok(Frame {
        signed: root.as_bytes(),
        signature,
    })
}

/// The inverse of [`split`]: declaration, root, signature, nothing between.
pub fn assemble(root: &str, signature: &[u8]) -> Vec<u8> {
    let signature = base64_text::encode(signature);
    let parts = [
        r#"<?xml version="1.0" encoding="UTF-8"?>"#,
        root,
        SIGNATURE_START,
        &signature,
        "}",
    ];
    parts.concat().into_bytes()
}

impl Frame<'_> {
    /// What was signed, exactly as it was received.
    pub fn signed(&self) -> &[u8] {
        self.signed
    }

    /// Decoded; not empty.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl FrameFault {
    /// Whether the body is no frame at all, as opposed to a frame with something wrong in it that can be told its sender.
    pub const fn is_not_a_frame(self) -> bool {
        matches!(self, Self::NotUtf8 | Self::DeclarationMissing | Self::RootMissing)
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Frame({} bytes signed, {} bytes of signature)",
            self.signed.len(),
            self.signature.len()
        )
    }
}

/// The root element of a body that need not be a frame otherwise.
pub(crate) fn find_root(body: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(body).ok()?;
    let rest = text.find(ROOT_START).and_then(|start| text.get(start..))?;
    root(rest).ok().map(|(root, _)| root.as_bytes())
}

/// Whether a tag starts here that is named exactly root.
pub(crate) fn is_root_start(text: &str) -> bool {
    let after_name = text.strip_prefix(ROOT_START);
    after_name
        .and_then(|rest| rest.bytes().next())
        .is_some_and(|next| is_space(next) || matches!(next, b'>' | b'/'))
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches(|character| u8::try_from(character).is_ok_and(is_space))
}

fn after_declaration(text: &str) -> Result<&str, FrameFault> {
    let Some(mut rest) = text.strip_prefix(DECLARATION_START) else {
        return Err(if text.starts_with('\u{FEFF}') {
            FrameFault::ByteOrderMark
        } else if text.contains(DECLARATION_START) {
            FrameFault::BytesBeforeDeclaration
        } else {
            FrameFault::DeclarationMissing
        });
    };
    rest = pseudo_attribute(rest, "version", |version| version == "1.0").ok_or(FrameFault::DeclarationForm)?;
    let any = pseudo_attribute(rest, "encoding", |_| true).ok_or(FrameFault::DeclarationForm)?;
    if pseudo_attribute(rest, "encoding", |charset| charset.eq_ignore_ascii_case("UTF-8")).is_none() {
        return Err(FrameFault::DeclarationCharset);
    }
    rest = pseudo_attribute(any, "standalone", |value| matches!(value, "yes" | "no")).unwrap_or(any);
    skip_space(rest)
        .strip_prefix("?>")
        .map(skip_space)
        .ok_or(FrameFault::DeclarationForm)
}

/// What follows ` name="value"`; `None` where something else stands, or a value that is not accepted.
fn pseudo_attribute<'a>(text: &'a str, name: &str, accept: fn(&str) -> bool) -> Option<&'a str> {
    let rest = text.strip_prefix(|character| u8::try_from(character).is_ok_and(is_space))?;
    let rest = skip_space(rest).strip_prefix(name)?;
    let rest = skip_space(skip_space(rest).strip_prefix('=')?);
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (value, rest) = rest.get(1..)?.split_once(quote)?;
    accept(value).then_some(rest)
}

/// The root element and what follows it.
fn root(text: &str) -> Result<(&str, &str), FrameFault> {
    if !is_root_start(text) {
        return Err(construct(text).map_or(FrameFault::RootMissing, FrameFault::Forbidden));
    }
    let mut end = 0;
    loop {
        let rest = text.get(end..).unwrap_or_default();
        let start = rest.find('<').ok_or(FrameFault::RootUnclosed)?;
        let rest = rest.get(start..).unwrap_or_default();
        if let Some(construct) = construct(rest) {
            return Err(FrameFault::Forbidden(construct));
        }
        if end > 0 && is_root_start(rest) {
            return Err(FrameFault::SecondRoot);
        }
        let length = tag_length(rest)?;
        end = end.saturating_add(start).saturating_add(length);
        if rest.starts_with(ROOT_END) {
            return text.split_at_checked(end).ok_or(FrameFault::TagForm);
        }
    }
}

/// What starts here, if it is something a message may not have.
fn construct(text: &str) -> Option<Construct> {
    if text.starts_with("<!--") {
        Some(Construct::Comment)
    } else if text.starts_with("<![") {
        Some(Construct::CdataSection)
    } else if text.starts_with("<!") {
        Some(Construct::Doctype)
    } else if text.starts_with("<?") {
        Some(Construct::ProcessingInstruction)
    } else {
        None
    }
}

/// Bytes from `<` to the `>` that ends the tag, both included; a `>` in quotes does not.
fn tag_length(text: &str) -> Result<usize, FrameFault> {
    let mut quote = None;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match (byte, quote) {
            (b'<', _) => return Err(FrameFault::TagForm),
            (b'>', None) => return Ok(place + 1),
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            _ => {}
        }
    }
    Err(FrameFault::RootUnclosed)
}

/// The decoded signature and what follows it, white space skipped.
fn signature(text: &str) -> Result<(Vec<u8>, &str), FrameFault> {
    let text = skip_space(text);
    if text.is_empty() {
        return Err(FrameFault::SignatureMissing);
    }
    let Some(rest) = text.strip_prefix(SIGNATURE_START) else {
        return Err(stray(text, FrameFault::BytesBeforeSignature));
    };
    let (base64, rest) = rest.split_once('}').ok_or(FrameFault::SignatureUnclosed)?;
    let signature = base64_text::decode(base64).ok_or(FrameFault::SignatureNotBase64)?;
    if signature.is_empty() {
        return Err(FrameFault::SignatureEmpty);
    }
    Ok((signature, skip_space(rest)))
}

/// Names what stands where nothing should.
fn stray(text: &str, otherwise: FrameFault) -> FrameFault {
    if is_root_start(text) {
        FrameFault::SecondRoot
    } else if text.starts_with(SIGNATURE_START) {
        FrameFault::SecondSignature
    } else {
        construct(text).map_or(otherwise, FrameFault::Forbidden)
    }
}
