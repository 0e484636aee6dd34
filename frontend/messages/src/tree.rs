//! The elements of one message as the bounded reader found them, and typed access to them.
//!
//! ```text
//!  <root><MsgHeader><SndDt>…      nodes:  0 root        depth 0
//!                                         1 MsgHeader   depth 1
//!                                         2 SndDt       depth 2   text
//! ```
//!
//! Nodes stand in document order with their depth, so a tree that ended at a fault still serves for what came before.
//! Access by name finds at most one child and calls a second one a duplicate; children nobody asks for are ignored,
//! which is how unknown elements of a body are. An element that is absent and one that is empty are the same.

use std::borrow::Cow;
use std::str::FromStr;

use ledger_model::{Amount, ChinaTime, MoneyFault, NameFault, TransferCategory, TransferId, TransferStatus};

use crate::fault::Fault;
use crate::{AccountType, EncryptedText, Form, MessageReason, Profile, Text, base64_text};

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    pub(crate) depth: usize,
    /// Decoded; of an element without children.
    pub(crate) text: Cow<'a, str>,
    pub(crate) has_children: bool,
}

/// An element that has children.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'t> {
    tree: &'t Tree<'t>,
    place: usize,
    profile: &'t Profile,
}

impl Tree<'_> {
    /// Names from `root` down to the node, joined by `/`.
    pub(crate) fn path(&self, place: usize) -> String {
        let mut names = Vec::new();
        let mut below = usize::MAX;
        for node in self.nodes.iter().take(place.saturating_add(1)).rev() {
            if node.depth < below {
                names.push(node.name);
                below = node.depth;
            }
        }
        names.reverse();
        names.join("/")
    }
}

impl<'t> Group<'t> {
    /// `None` of a tree without any element.
    pub(crate) fn root(tree: &'t Tree<'t>, profile: &'t Profile) -> Option<Self> {
        tree.nodes.first().map(|_| Self {
            tree,
            place: 0,
            profile,
        })
    }

    pub(crate) fn profile(self) -> &'t Profile {
        self.profile
    }

    pub(crate) fn fault(self, reason: MessageReason) -> Fault {
        Fault {
            path: self.tree.path(self.place),
            reason,
        }
    }

    pub(crate) fn fault_at(self, name: &str, reason: MessageReason) -> Fault {
        Fault {
            path: format!("{}/{name}", self.tree.path(self.place)),
            reason,
        }
    }

    pub(crate) fn missing(self, name: &'static str) -> Fault {
        self.fault_at(name, MessageReason::Missing)
    }

    pub(crate) fn wrong(self, name: &'static str, form: Form) -> Fault {
        self.fault_at(name, MessageReason::WrongForm(form))
    }

    fn children(self) -> impl Iterator<Item = (usize, &'t Node<'t>)> {
        let depth = self.tree.nodes.get(self.place).map_or(0, |node| node.depth);
        let after = self.tree.nodes.iter().enumerate().skip(self.place.saturating_add(1));
        after
            .take_while(move |(_, node)| node.depth > depth)
            .filter(move |(_, node)| node.depth == depth + 1)
    }

    pub(crate) fn child_names(self) -> impl Iterator<Item = &'t str> {
        self.children().map(|(_, node)| node.name)
    }

    pub(crate) fn count(self, name: &str) -> usize {
        self.child_names().filter(|child| *child == name).count()
    }

    fn find(self, name: &str) -> Result<Option<(usize, &'t Node<'t>)>, Fault> {
        let mut named = self.children().filter(|(_, node)| node.name == name);
        let found = named.next();
        if found.is_some() && named.next().is_some() {
            return Err(self.fault_at(name, MessageReason::Duplicated));
        }
        Ok(found)
    }

    /// A child that has children itself, or none at all.
    pub(crate) fn child(self, name: &str) -> Result<Option<Self>, Fault> {
        let Some((place, node)) = self.find(name)? else {
            return Ok(None);
        };
        if !node.has_children && !node.text.bytes().all(base64_text::is_space) {
            return Err(self.fault_at(name, MessageReason::WrongContent));
        }
        Ok(Some(Self { place, ..self }))
    }

    pub(crate) fn group(self, name: &'static str) -> Result<Self, Fault> {
        self.child(name)?.ok_or_else(|| self.missing(name))
    }

    /// Text as it stands, line breaks included.
    fn wrapped(self, name: &'static str) -> Result<Option<&'t str>, Fault> {
        let Some((_, node)) = self.find(name)? else {
            return Ok(None);
        };
        if node.has_children {
            return Err(self.fault_at(name, MessageReason::WrongContent));
        }
        Ok(Some(node.text.as_ref()).filter(|text| !text.is_empty()))
    }

    /// Text of one line. The reader let no other control characters through than tabs and line breaks.
    pub(crate) fn optional(self, name: &'static str) -> Result<Option<&'t str>, Fault> {
        let text = self.wrapped(name)?;
        if text.is_some_and(|text| text.bytes().any(|byte| byte.is_ascii_control())) {
            return Err(self.wrong(name, Form::Text));
        }
        Ok(text)
    }

    pub(crate) fn required(self, name: &'static str) -> Result<&'t str, Fault> {
        self.optional(name)?.ok_or_else(|| self.missing(name))
    }

    /// Free text of at most so many characters.
    pub(crate) fn text(self, name: &'static str, characters_max: usize) -> Result<Option<Text>, Fault> {
        let Some(text) = self.optional(name)? else {
            return Ok(None);
        };
        if text.len() > characters_max && text.chars().count() > characters_max {
            return Err(self.fault_at(name, MessageReason::TooLong));
        }
        text.parse().map(Some).map_err(|_| self.wrong(name, Form::Text))
    }

    pub(crate) fn optional_name<T: FromStr<Err = NameFault>>(self, name: &'static str) -> Result<Option<T>, Fault> {
        let parse = |text: &str| text.parse().map_err(|fault| self.wrong(name, Form::Name(fault)));
        self.optional(name)?.map(parse).transpose()
    }

    pub(crate) fn name<T: FromStr<Err = NameFault>>(self, name: &'static str) -> Result<T, Fault> {
        self.optional_name(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn optional_time(self, name: &'static str) -> Result<Option<ChinaTime>, Fault> {
        let parse = |text: &str| text.parse().map_err(|_| self.wrong(name, Form::Time));
        self.optional(name)?.map(parse).transpose()
    }

    pub(crate) fn time(self, name: &'static str) -> Result<ChinaTime, Fault> {
        self.optional_time(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn optional_amount(self, name: &'static str) -> Result<Option<Amount>, Fault> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|fault: MoneyFault| self.wrong(name, Form::Amount(fault)))
        };
        let Some(amount): Option<Amount> = self.optional(name)?.map(parse).transpose()? else {
            return Ok(None);
        };
        if !self.profile.currencies.contains(&amount.currency()) {
            return Err(self.fault_at(name, MessageReason::CurrencyNotAccepted));
        }
        Ok(Some(amount))
    }

    pub(crate) fn amount(self, name: &'static str) -> Result<Amount, Fault> {
        self.optional_amount(name)?.ok_or_else(|| self.missing(name))
    }

    /// `TrxCtgy`, one of those the message may have.
    pub(crate) fn category(self, accepted: &[TransferCategory]) -> Result<TransferCategory, Fault> {
        let category = self.name("TrxCtgy")?;
        if accepted.contains(&category) {
            Ok(category)
        } else {
            Err(self.fault_at("TrxCtgy", MessageReason::CategoryNotAccepted))
        }
    }

    /// `TrxId` and `TrxDtTm`, which must be of one date.
    pub(crate) fn transfer_id_and_time(self) -> Result<(TransferId, ChinaTime), Fault> {
        let id: TransferId = self.name("TrxId")?;
        let ordered_at = self.time("TrxDtTm")?;
        if id.date() == ordered_at.date() {
            Ok((id, ordered_at))
        } else {
            Err(self.fault_at("TrxId", MessageReason::DatesDiffer))
        }
    }

    pub(crate) fn account_type(self, name: &'static str) -> Result<Option<AccountType>, Fault> {
        let parse = |text: &str| text.parse().map_err(|_| self.wrong(name, Form::AccountType));
        let account_type: Option<AccountType> = self.optional(name)?.map(parse).transpose()?;
        if account_type.is_some_and(|found| !self.profile.account_types.contains(&found)) {
            return Err(self.fault_at(name, MessageReason::AccountTypeNotAccepted));
        }
        Ok(account_type)
    }

    pub(crate) fn status(self, name: &'static str) -> Result<Option<TransferStatus>, Fault> {
        let parse = |text| TransferStatus::from_code(text).ok_or_else(|| self.wrong(name, Form::TransferStatus));
        self.optional(name)?.map(parse).transpose()
    }

    /// Base64 of at most so many bytes; white space only counts as empty.
    pub(crate) fn bytes(self, name: &'static str, bytes_max: usize) -> Result<Option<Vec<u8>>, Fault> {
        let Some(text) = self.wrapped(name)? else {
            return Ok(None);
        };
        let bytes = base64_text::decode(text).ok_or_else(|| self.wrong(name, Form::Base64))?;
        if bytes.len() > bytes_max {
            return Err(self.fault_at(name, MessageReason::TooLong));
        }
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    pub(crate) fn encrypted(self, name: &'static str) -> Result<Option<EncryptedText>, Fault> {
        Ok(self
            .bytes(name, self.profile.lengths.encrypted_bytes)?
            .map(EncryptedText))
    }
}
