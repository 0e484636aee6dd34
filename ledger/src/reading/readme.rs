//! The text that goes with an exhibit: what the files are, and the commands that check them, with OpenSSL and what every
//! POSIX system has.

use std::fmt::Write;

use ledger_journal::ChainHash;

use super::exhibit::{
    CERTIFICATE, Exhibit, OUTCOME, Recorded, SERIAL, SIGNATURE, SIGNATURE_DER, SIGNED, decided, record_name,
};
use super::signature::Signature;

pub(super) fn text(exhibit: &Exhibit, records: &[Recorded<'_>]) -> String {
    let mut out = String::new();
    let mut put = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    put("Evidence for one transfer, exported from a bank's ledger.");
    put("");
    if exhibit.is_unsigned() {
        put(&format!("{SIGNED:<24} the bank's own order, as text"));
        put(&format!("{SIGNATURE:<24} empty: nobody has signed it"));
    } else {
        put(&format!("{SIGNED:<24} the request, exactly the bytes that were signed"));
        put(&format!("{SIGNATURE:<24} the sender's signature over them"));
    }
    if matches!(exhibit.signature, Signature::SmRaw { .. }) {
        put(&format!(
            "{SIGNATURE_DER:<24} the same two numbers in the form that OpenSSL reads"
        ));
    }
    if !exhibit.is_unsigned() {
        put(&format!(
            "{SERIAL:<24} serial of the sender's key, as the request names it"
        ));
    }
    if exhibit.certificate.is_some() {
        put(&format!(
            "{CERTIFICATE:<24} the sender's certificate, added by whoever exported this; the ledger keeps none"
        ));
    }
    for Recorded { record, .. } in records {
        let what = if record.sequence == exhibit.kept.sequence {
            "the journal record that decided the transfer"
        } else {
            "a record after it, which holds the hash of the one before"
        };
        put(&format!("{:<24} {what}", record_name(record.sequence)));
    }
    put(&format!("{OUTCOME:<24} what the record says, for reading"));
    put("");
    if !exhibit.is_unsigned() {
        put("The answer that went back to the sender is signed after the posting and is not kept by the ledger;");
        put("what the ledger keeps is the outcome, in the record. Only requests whose signature held are posted.");
        put("");
    }
    signature(exhibit, &mut put);
    digest(exhibit, records, &mut put);
    chain(exhibit, records, &mut put);
    out
}

fn signature(exhibit: &Exhibit, put: &mut impl FnMut(&str)) {
    if exhibit.is_unsigned() {
        put(
            "1. There is no signature: the bank itself ordered this adjustment. The order, with who made and who checked it,",
        );
        put(&format!(
            "   is the text in {SIGNED}; the files of signature and serial are empty."
        ));
        put("");
        return;
    }
    put("1. The signature. It must be made by the sender's certificate, whose serial must be the one named:");
    put("");
    put(&format!(
        "    openssl x509 -in {CERTIFICATE} -noout -serial ; cat {SERIAL}"
    ));
    put(&format!(
        "    openssl x509 -in {CERTIFICATE} -noout -pubkey > public.pem"
    ));
    let sm = |file: &str| {
        format!("    openssl dgst -sm3 -verify public.pem -sigopt distid:1234567812345678 -signature {file} {SIGNED}")
    };
    put(&match &exhibit.signature {
        Signature::Rsa => format!("    openssl dgst -sha256 -verify public.pem -signature {SIGNATURE} {SIGNED}"),
        Signature::Sm => sm(SIGNATURE),
        Signature::SmRaw { .. } => sm(SIGNATURE_DER),
    });
    put("");
    put(
        "   It says \"Verified OK\". Whether the certificate is the sender's, and was valid, is for its issuer to say.",
    );
    put("");
}

fn digest(exhibit: &Exhibit, records: &[Recorded<'_>], put: &mut impl FnMut(&str)) {
    let evidence = &exhibit.kept.evidence;
    let lengths = [
        (evidence.signed.len(), SIGNED),
        (evidence.signature.len(), SIGNATURE),
        (evidence.signing_serial.len(), SERIAL),
    ];
    let parts: Vec<String> = lengths
        .iter()
        .map(|(length, file)| format!("printf '{}'; cat {file};", octal(*length)))
        .collect();
    put("2. The record is about this request: it holds the SHA-256 of request, signature and serial, each after its");
    put("   length as eight bytes, the highest first. These two commands say the same:");
    put("");
    put(&format!(
        "    {{ {} }} | openssl dgst -sha256 -r | cut -c 1-64",
        parts.join(" ")
    ));
    if let Some(Recorded { record, encoded }) = records.first()
        && let Some((_, digest)) = decided(&record.event)
        && let Some(place) = place_of(encoded, &digest.0)
    {
        put(&format!("    {}", bytes_at(&record_name(record.sequence), place)));
    }
    put("");
}

fn chain(exhibit: &Exhibit, records: &[Recorded<'_>], put: &mut impl FnMut(&str)) {
    put(
        "3. The record is in the journal: every record holds the SHA-256 of the bytes of the one before it, so none can",
    );
    put("   be changed without changing all that follow. Of each pair the two commands say the same:");
    put("");
    let pairs = records.iter().zip(records.iter().skip(1));
    for (Recorded { record, encoded }, next) in pairs {
        put(&format!(
            "    openssl dgst -sha256 -r {} | cut -c 1-64",
            record_name(record.sequence)
        ));
        if let Some(place) = place_of(next.encoded, &ChainHash::of(encoded).0) {
            put(&format!("    {}", bytes_at(&record_name(next.record.sequence), place)));
        }
        put("");
    }
    if let Some(last) = records.last() {
        put(&format!(
            "    openssl dgst -sha256 -r {} | cut -c 1-64",
            record_name(last.record.sequence)
        ));
        put("");
    }
    let head = ChainHash(exhibit.kept.head);
    put(&format!(
        "   When this was exported the journal of shard {} had come to record {}, whose hash was",
        exhibit.kept.shard, exhibit.kept.head_sequence
    ));
    put(&format!("   {head}"));
    put("   and which holds, through the records between, the hash of the last one here.");
}

/// Where these bytes stand in the record.
fn place_of(record: &[u8], sought: &[u8; 32]) -> Option<usize> {
    record.windows(sought.len()).position(|window| window == sought)
}

/// A command that shows 32 bytes of a file.
fn bytes_at(file: &str, place: usize) -> String {
    format!("dd if={file} bs=1 skip={place} count=32 2> /dev/null | od -An -v -tx1 | tr -d ' \\n' ; echo")
}

/// Eight bytes, as `printf` takes them.
fn octal(length: usize) -> String {
    let length = u64::try_from(length).expect("a length in memory fits 64 bits");
    length.to_be_bytes().iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:03o}").expect("a string takes all");
        text
    })
}
