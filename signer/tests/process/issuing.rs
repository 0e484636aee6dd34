//! Certificates and revocation lists with serials, names and dates as a test wants them, over the keys of the repository.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use signer_crypto::Suite;
use x509_parser::prelude::FromDer;

use crate::making::Pair;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;

/// Who issues: a name and the key that signs.
#[derive(Clone, Copy)]
pub(crate) struct Authority<'k> {
    pub(crate) name: &'k str,
    pub(crate) pair: &'k Pair,
}

/// What stands in a certificate. The serial is an even number of hexadecimal digits, the first below 8.
#[derive(Clone, Copy)]
pub(crate) struct Particulars<'t> {
    pub(crate) serial: &'t str,
    pub(crate) subject: &'t str,
    /// Seconds from now on.
    pub(crate) begins_in: i64,
    pub(crate) ends_in: i64,
}

/// What stands in a revocation list.
#[derive(Clone, Copy)]
pub(crate) struct Revoked<'t> {
    pub(crate) serials: &'t [&'t str],
    /// Seconds from now on.
    pub(crate) next_update_in: i64,
    /// Marks it as a list of changes only, by a critical extension.
    pub(crate) delta: bool,
}

impl Authority<'_> {
    /// The key of `pair` under a certificate of this authority.
    pub(crate) fn certify(&self, pair: &Pair, particulars: Particulars<'_>) -> Pair {
        let validity = [time(particulars.begins_in), time(particulars.ends_in)].concat();
        let to_be_signed = [
            tlv(0xA0, &tlv(INTEGER, &[2])),
            tlv(INTEGER, &bytes(particulars.serial)),
            self.algorithm(),
            name(self.name),
            tlv(SEQUENCE, &validity),
            name(particulars.subject),
            public_key_of(pair),
        ];
        let der = self.signed(&tlv(SEQUENCE, &to_be_signed.concat()));
        pair.under(pem("CERTIFICATE", &der))
    }

    /// Its own certificate.
    pub(crate) fn own(&self) -> Pair {
        let particulars = Particulars {
            serial: "01",
            subject: self.name,
            begins_in: -3600,
            ends_in: 3600,
        };
        self.certify(self.pair, particulars)
    }

    /// A revocation list, in DER.
    pub(crate) fn list(&self, revoked: Revoked<'_>) -> Vec<u8> {
        let entries = revoked
            .serials
            .iter()
            .map(|serial| tlv(SEQUENCE, &[tlv(INTEGER, &bytes(serial)), time(-60)].concat()));
        let entries = tlv(SEQUENCE, &entries.collect::<Vec<_>>().concat());
        // 2.5.29.27, critical, base number 1
        let delta = [
            vec![6, 3, 0x55, 0x1D, 27],
            vec![1, 1, 0xFF],
            tlv(4, &tlv(INTEGER, &[1])),
        ]
        .concat();
        let delta = tlv(0xA0, &tlv(SEQUENCE, &tlv(SEQUENCE, &delta)));
        let to_be_signed = [
            tlv(INTEGER, &[1]),
            self.algorithm(),
            name(self.name),
            time(-120),
            time(revoked.next_update_in),
            entries,
            if revoked.delta { delta } else { Vec::new() },
        ];
        self.signed(&tlv(SEQUENCE, &to_be_signed.concat()))
    }

    fn signed(&self, to_be_signed: &[u8]) -> Vec<u8> {
        let signature = self.pair.private.sign(to_be_signed).unwrap();
        let signature = tlv(3, &[vec![0], signature].concat());
        tlv(SEQUENCE, &[to_be_signed.to_vec(), self.algorithm(), signature].concat())
    }

    fn algorithm(&self) -> Vec<u8> {
        match self.pair.certificate.suite() {
            // 1.2.840.113549.1.1.11 with its NULL
            Suite::Rsa => tlv(SEQUENCE, &[6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 0x0B, 5, 0]),
            // 1.2.156.10197.1.501
            Suite::Sm => tlv(SEQUENCE, &[6, 8, 0x2A, 0x81, 0x1C, 0xCF, 0x55, 1, 0x83, 0x75]),
        }
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into_bytes()
}

fn public_key_of(pair: &Pair) -> Vec<u8> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pair.certificate_pem).unwrap();
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(&pem.contents).unwrap();
    certificate.public_key().raw.to_vec()
}

fn name(common_name: &str) -> Vec<u8> {
    let value = tlv(0x0C, common_name.as_bytes());
    let attribute = tlv(SEQUENCE, &[vec![6, 3, 0x55, 4, 3], value].concat());
    tlv(SEQUENCE, &tlv(0x31, &attribute))
}

fn time(seconds_from_now: i64) -> Vec<u8> {
    let second = jiff::Timestamp::now().as_second() + seconds_from_now;
    let text = jiff::Timestamp::from_second(second)
        .unwrap()
        .strftime("%y%m%d%H%M%SZ")
        .to_string();
    tlv(UTC_TIME, text.as_bytes())
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let pairs = hexadecimal.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match len {
        [0, short] if short < 0x80 => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [head, content.to_vec()].concat()
}
