//! The bounded reader: the one place that knows an XML library.
//!
//! quick-xml splits the bytes into events and checks that end tags match. It lets document types pass, hands out
//! entity references undecoded and has no limit of its own, so everything is decided here: depth, number of elements,
//! length of names and texts, attributes, references, characters. Nothing that is refused is looked at any further.
//!
//! Kept: names and texts of elements, in document order. Dropped: white space between elements, `xmlns`.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::base64_text::is_space;
use crate::fault::Fault;
use crate::field::may_stand_in_text;
use crate::tree::{Group, Node, Tree};
use crate::{Construct, MessageFault, MessageHeader, MessageReason, PartialHeader, Profile, frame};

/// Reads header and body; `interpret` gets the header, its group and the body's.
pub(crate) fn read_message<M>(
    signed: &[u8],
    profile: &Profile,
    interpret: fn(&MessageHeader, Group<'_>, Group<'_>) -> Result<M, Fault>,
) -> Result<(MessageHeader, M), MessageFault> {
    let mut tree = Tree::default();
    let outcome = read(signed, profile, &mut tree).and_then(|()| {
        let (header_group, body) = halves(&tree, profile)?;
        let header = MessageHeader::read(header_group)?;
        let message = interpret(&header, header_group, body)?;
        Ok((header, message))
    });
    outcome.map_err(|fault| MessageFault {
        header: PartialHeader::of(&tree, profile),
        path: fault.path,
        reason: fault.reason,
    })
}

fn halves<'t>(tree: &'t Tree<'t>, profile: &'t Profile) -> Result<(Group<'t>, Group<'t>), Fault> {
    let root = Group::root(tree, profile).ok_or_else(|| Fault::whole(MessageReason::NotOneRoot))?;
    if !root.child_names().eq(["MsgHeader", "MsgBody"]) {
        return Err(root.fault(MessageReason::RootChildren));
    }
    Ok((root.group("MsgHeader")?, root.group("MsgBody")?))
}

/// Fills `tree` from exactly one `root` element. After a fault it holds what came before.
pub(crate) fn read<'a>(signed: &'a [u8], profile: &Profile, tree: &mut Tree<'a>) -> Result<(), Fault> {
    let text = std::str::from_utf8(signed).map_err(|_| Fault::whole(MessageReason::NotUtf8))?;
    if !frame::is_root_start(text) || !text.ends_with(frame::ROOT_END) {
        return Err(Fault::whole(MessageReason::NotOneRoot));
    }
    tree.nodes.reserve(ELEMENTS_TYPICAL);
    let mut builder = Builder {
        text,
        profile,
        tree,
        open: Vec::with_capacity(profile.depth_max),
    };
    builder.run().map_err(|reason| {
        let path = builder
            .open
            .last()
            .map_or_else(String::new, |place| builder.tree.path(*place));
        Fault { path, reason }
    })
}

/// A payment with every field has 41.
const ELEMENTS_TYPICAL: usize = 48;

struct Builder<'a, 't> {
    text: &'a str,
    profile: &'t Profile,
    tree: &'t mut Tree<'a>,
    /// Places of the elements that are open, outermost first.
    open: Vec<usize>,
}

impl<'a> Builder<'a, '_> {
    fn run(&mut self) -> Result<(), MessageReason> {
        let mut reader = Reader::from_str(self.text);
        loop {
            let start = reader.buffer_position();
            match reader.read_event().map_err(|_| MessageReason::NotWellFormed)? {
                Event::Start(tag) => {
                    let place = self.element(start, &tag)?;
                    self.open.push(place);
                }
                Event::Empty(tag) => {
                    self.element(start, &tag)?;
                }
                Event::End(_) => {
                    self.open.pop().ok_or(MessageReason::NotWellFormed)?;
                }
                Event::Text(piece) => self.append(piece.into_inner())?,
                Event::GeneralRef(reference) => {
                    let mut buffer = [0; 4];
                    let character: &str = resolve(&reference)?.encode_utf8(&mut buffer);
                    self.append(Cow::Owned(character.to_owned()))?;
                }
                Event::CData(_) => return Err(MessageReason::Forbidden(Construct::CdataSection)),
                Event::Comment(_) => return Err(MessageReason::Forbidden(Construct::Comment)),
                Event::Decl(_) => return Err(MessageReason::Forbidden(Construct::Declaration)),
                Event::PI(_) => return Err(MessageReason::Forbidden(Construct::ProcessingInstruction)),
                Event::DocType(_) => return Err(MessageReason::Forbidden(Construct::Doctype)),
                Event::Eof => break,
            }
        }
        if self.open.is_empty() {
            Ok(())
        } else {
            Err(MessageReason::NotWellFormed)
        }
    }

    /// Adds the element whose tag starts at byte `start`.
    fn element(&mut self, start: u64, tag: &BytesStart<'_>) -> Result<usize, MessageReason> {
        let name = self.checked_name(start, tag)?;
        check_attributes(tag)?;
        let place = self.tree.nodes.len();
        if place >= self.profile.elements_max {
            return Err(MessageReason::TooManyElements);
        }
        if self.open.len() >= self.profile.depth_max {
            return Err(MessageReason::TooDeep);
        }
        if let Some(parent) = self.open.last().and_then(|place| self.tree.nodes.get_mut(*place)) {
            if !parent.has_children && !parent.text.bytes().all(is_space) {
                return Err(MessageReason::MixedContent);
            }
            parent.has_children = true;
            parent.text = Cow::Borrowed("");
        } else if place > 0 {
            return Err(MessageReason::NotOneRoot);
        }
        let node = Node {
            name,
            depth: self.open.len(),
            text: Cow::Borrowed(""),
            has_children: false,
        };
        self.tree.nodes.push(node);
        Ok(place)
    }

    /// The name as a slice of the input: an event's own slice lives no longer than the event.
    fn checked_name(&self, start: u64, tag: &BytesStart<'_>) -> Result<&'a str, MessageReason> {
        let length = tag.name().into_inner().len();
        let from = usize::try_from(start).map_or(usize::MAX, |start| start.saturating_add(1));
        let name = self
            .text
            .get(from..from.saturating_add(length))
            .ok_or(MessageReason::NotWellFormed)?;
        let fits = !name.is_empty() && name.len() <= self.profile.name_bytes_max;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if fits && starts_well && name.bytes().all(plain) {
            Ok(name)
        } else {
            Err(MessageReason::Forbidden(Construct::ElementName))
        }
    }

    /// Adds decoded text to the innermost open element.
    fn append(&mut self, piece: Cow<'a, str>) -> Result<(), MessageReason> {
        check_characters(&piece)?;
        let place = self.open.last().ok_or(MessageReason::NotOneRoot)?;
        let node = self.tree.nodes.get_mut(*place).ok_or(MessageReason::NotWellFormed)?;
        if node.has_children {
            let blank = piece.bytes().all(is_space);
            return if blank {
                Ok(())
            } else {
                Err(MessageReason::MixedContent)
            };
        }
        if node.text.len().saturating_add(piece.len()) > self.profile.text_bytes_max {
            return Err(MessageReason::TooLong);
        }
        if node.text.is_empty() {
            node.text = piece;
        } else {
            node.text.to_mut().push_str(&piece);
        }
        Ok(())
    }
}

/// The five predefined references and the numeric ones.
fn resolve(reference: &BytesRef<'_>) -> Result<char, MessageReason> {
    let forbidden = MessageReason::Forbidden(Construct::EntityReference);
    match &**reference {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => reference.resolve_char_ref().map_err(|_| forbidden)?.ok_or(forbidden),
    }
}

/// `xmlns` at the most, once, quoted; its value is not looked at beyond being plain.
fn check_attributes(tag: &BytesStart<'_>) -> Result<(), MessageReason> {
    if tag.attributes_raw().is_empty() {
        return Ok(());
    }
    for attribute in tag.attributes() {
        let allowed = attribute.is_ok_and(|attribute| {
            let plain = attribute
                .value
                .chars()
                .all(|c| may_stand_in_text(c) && !matches!(c, '<' | '&'));
            attribute.key.into_inner() == "xmlns" && plain
        });
        if !allowed {
            return Err(MessageReason::Forbidden(Construct::Attribute));
        }
    }
    Ok(())
}

/// Tabs and line breaks pass here, since base64 may be wrapped; texts refuse them where they are read.
fn check_characters(text: &str) -> Result<(), MessageReason> {
    let printable = |byte: u8| (b' '..0x7f).contains(&byte) || is_space(byte);
    if text.bytes().all(printable) {
        return Ok(());
    }
    let good = |c: char| may_stand_in_text(c) || matches!(c, '\t' | '\r' | '\n');
    if text.chars().all(good) {
        Ok(())
    } else {
        Err(MessageReason::ControlCharacter)
    }
}
