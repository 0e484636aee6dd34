//! The byte-stable writer: the same value gives the same bytes. No white space between elements, no attribute but the
//! root's `xmlns` (the message type), absent fields left out.
//!
//! A message kind says once what it consists of, as calls on a [`Sink`]; one sink makes XML of it ([`XmlText`]), the
//! other the lines by which resends are recognised ([`DetailLines`]), so that the two cannot drift apart.
//!
//! The writer refuses nothing: types admit only what can be written. In the few plain strings (texts of our own) a
//! character that a message must not carry becomes a space.

use std::fmt;

use crate::field::may_stand_in_text;
use crate::{EncryptedText, MessageHeader, MessageType, base64_text};

pub(crate) trait Sink: Sized {
    fn open(&mut self, name: &'static str);

    fn close(&mut self, name: &'static str);

    fn text(&mut self, name: &'static str, text: &str);

    /// Bytes as base64.
    fn bytes(&mut self, name: &'static str, bytes: &[u8]);

    fn group(&mut self, name: &'static str, content: impl FnOnce(&mut Self)) {
        self.open(name);
        content(self);
        self.close(name);
    }

    fn display(&mut self, name: &'static str, value: impl fmt::Display) {
        self.text(name, &value.to_string());
    }

    fn optional(&mut self, name: &'static str, value: Option<&impl fmt::Display>) {
        if let Some(value) = value {
            self.display(name, value);
        }
    }

    fn encrypted(&mut self, name: &'static str, value: Option<&EncryptedText>) {
        if let Some(EncryptedText(bytes)) = value {
            self.bytes(name, bytes);
        }
    }
}

/// Typical messages are 1.5 to 2 KB.
const MESSAGE_BYTES_TYPICAL: usize = 2_048;

pub(crate) fn write_root(header: &MessageHeader, message_type: MessageType, body: impl FnOnce(&mut XmlText)) -> String {
    let mut xml = XmlText {
        out: String::with_capacity(MESSAGE_BYTES_TYPICAL),
    };
    xml.out.push_str("<root xmlns=\"");
    xml.out.push_str(message_type.name());
    xml.out.push_str("\">");
    header.write(message_type, &mut xml);
    xml.group("MsgBody", body);
    xml.close("root");
    xml.out
}

#[derive(Debug)]
pub(crate) struct XmlText {
    out: String,
}

impl Sink for XmlText {
    fn open(&mut self, name: &'static str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn close(&mut self, name: &'static str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn text(&mut self, name: &'static str, text: &str) {
        self.open(name);
        push_escaped(&mut self.out, text);
        self.close(name);
    }

    fn bytes(&mut self, name: &'static str, bytes: &[u8]) {
        self.open(name);
        self.out.push_str(&base64_text::encode(bytes));
        self.close(name);
    }
}

/// Escapes what XML needs, and `{` since a frame may have `{S:` only once.
fn push_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '{' => out.push_str("&#123;"),
            other if may_stand_in_text(other) => out.push(other),
            _ => out.push(' '),
        }
    }
}

/// Lines `path=value`. Values have no line breaks and names no `=`, so different contents give different lines.
#[derive(Debug, Default)]
pub(crate) struct DetailLines {
    open: Vec<&'static str>,
    out: String,
}

impl DetailLines {
    pub(crate) fn finish(self) -> String {
        self.out
    }
}

impl Sink for DetailLines {
    fn open(&mut self, name: &'static str) {
        self.open.push(name);
    }

    fn close(&mut self, _: &'static str) {
        self.open.pop();
    }

    fn text(&mut self, name: &'static str, text: &str) {
        for group in &self.open {
            self.out.push_str(group);
            self.out.push('/');
        }
        self.out.push_str(name);
        self.out.push('=');
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// Ciphertexts differ on every resend.
    fn bytes(&mut self, _: &'static str, _: &[u8]) {}
}
