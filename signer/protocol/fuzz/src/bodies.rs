//! What holds for any bytes, in both directions of the wire.

use prost::Message as _;
use signer_protocol::{Answer, Work, limits, wire};

/// As the signer reads a batch: each piece is within the limits or is refused, and comes back the same from the wire.
pub fn work(bytes: &[u8]) {
    let Ok(batch) = wire::WorkBatch::decode(bytes) else {
        return;
    };
    for item in batch.items {
        let Ok(work) = Work::read(item.what) else {
            continue;
        };
        check_limits(&work);
        let again = wire::Work {
            number: item.number,
            budget_ms: item.budget_ms,
            what: Some(work.clone().into()),
        };
        let again = wire::Work::decode(&*again.encode_to_vec()).expect("what was encoded decodes");
        assert_eq!(Work::read(again.what).as_ref(), Ok(&work), "it comes back the same");
    }
}

fn check_limits(work: &Work) {
    match work {
        Work::Open(open) => {
            assert!(open.signed.len() <= limits::SIGNED_BYTES_MAX);
            assert!(open.fields.len() <= limits::FIELDS_MAX);
            assert!(open.envelope.len() <= limits::ENVELOPE_BYTES_MAX);
        }
        Work::Seal(seal) => assert!(seal.fields.len() <= limits::FIELDS_MAX),
        Work::Sign(sign) => assert!(sign.signed.len() <= limits::SIGNED_BYTES_MAX),
        Work::Tokenise(tokenise) => assert!(tokenise.plaintexts.len() <= limits::PLAINTEXTS_MAX),
        Work::Reveal(reveal) => assert!((1..=limits::PURPOSE_BYTES_MAX).contains(&reveal.purpose.len())),
    }
}

/// As a client reads a batch of replies.
pub fn reply(bytes: &[u8]) {
    let Ok(batch) = wire::ReplyBatch::decode(bytes) else {
        return;
    };
    for reply in batch.items {
        let Some(Ok(answer)) = reply.what.map(Answer::try_from) else {
            continue;
        };
        let again = answer.clone().into_reply(reply.number);
        let again = wire::Reply::decode(&*again.encode_to_vec()).expect("what was encoded decodes");
        assert_eq!(again.number, reply.number);
        assert_eq!(
            again.what.map(Answer::try_from),
            Some(Ok(answer)),
            "it comes back the same"
        );
    }
}
