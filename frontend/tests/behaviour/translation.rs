//! What the signer, the ledger and the network are told of a message.

use frontend::respond::Reply;
use frontend_messages::{Answer, SensitiveField};
use ledger_model::{AccountToken, Instruction, NameToken, Payee};
use signer_protocol::FieldKind::{AccountNumber, Name};

use crate::exchange::{answer_of, key, send, translated};
use crate::messages::{
    AGREEMENT, INSTITUTION, NETWORK, ORIGINAL, SEALED, SIGNATURE, Sealed, TRANSFER, framed, lines, payment, payout,
    payout_by_agreement, read, refund,
};
use crate::stand_ins::{StandInBooks, StandInSigner, desk};

#[tokio::test]
async fn messages_in_the_ledgers_words() {
    let Instruction::Payment(payment) = translated(201, &payment()).await else {
        panic!("a payment")
    };
    assert_eq!(payment.key, key("0110", TRANSFER));
    assert_eq!(payment.amount.to_string(), "CNY518.17");
    assert_eq!(payment.batch.as_str(), "B202603020001");
    assert_eq!(payment.institution.as_str(), INSTITUTION);
    assert_eq!(payment.agreement.as_str(), AGREEMENT);
    assert_eq!(payment.ordered_at.to_string(), "2026-03-02T09:59:59");

    let Instruction::Refund(refund) = translated(205, &refund()).await else {
        panic!("a refund")
    };
    assert_eq!(refund.key, key("0127", TRANSFER));
    assert_eq!(
        refund.original,
        key("0116", ORIGINAL),
        "the category of the payment, not of the refund"
    );
    assert_eq!(refund.original_amount.to_string(), "CNY518.17");
    assert_eq!(refund.original_serial.unwrap().as_str(), "202603020000000000000009");
    assert_eq!(refund.institution.as_str(), INSTITUTION);
    assert_eq!(refund.agreement.as_str(), AGREEMENT);

    let Instruction::Payout(by_account) = translated(211, &payout(SEALED)).await else {
        panic!("a payout")
    };
    let token = AccountToken::new(StandInSigner::token(SEALED.payee_number));
    let name = NameToken::new(StandInSigner::token(SEALED.payee_name));
    assert_eq!(by_account.payee, Payee::Account { token, name });
    assert_eq!(by_account.key, key("0120", TRANSFER));
    let Instruction::Payout(by_agreement) = translated(211, &payout_by_agreement()).await else {
        panic!("a payout")
    };
    assert_eq!(by_agreement.payee, Payee::Agreement(AGREEMENT.parse().unwrap()));
}

#[tokio::test]
async fn the_same_content_has_the_same_digest_and_other_content_another() {
    async fn check(number: u16, one: &str, other: &str, same: bool) {
        let (one_asked, other_asked) = (translated(number, one).await, translated(number, other).await);
        assert_eq!(one_asked.details() == other_asked.details(), same, "{one}\n{other}");
    }
    let resent = payment()
        .replace("2026-03-02T10:00:00", "2026-03-02T10:00:30")
        .replace("4000000101", "4000000102");
    check(201, &payment(), &resent, true).await;
    check(201, &payment(), &payment().replace("Tea", "Gold"), false).await;
    check(
        201,
        &payment(),
        &payment().replace("<OrdrInf><OrdrDesc>Tea</OrdrDesc></OrdrInf>", ""),
        false,
    )
    .await;
    check(211, &payout(SEALED), &payout(SEALED), true).await;
    for changed in [
        Sealed {
            payer_number: b"another",
            ..SEALED
        },
        Sealed {
            payer_name: b"another",
            ..SEALED
        },
        Sealed {
            payee_number: b"another",
            ..SEALED
        },
        Sealed {
            payee_name: b"another",
            ..SEALED
        },
        Sealed {
            payer_number: SEALED.payer_name,
            payer_name: SEALED.payer_number,
            ..SEALED
        },
    ] {
        check(211, &payout(SEALED), &payout(changed), false).await;
    }
}

#[tokio::test]
async fn what_the_signer_is_asked_of_a_payout() {
    let desk = desk(StandInSigner::default(), StandInBooks::default());
    answer_of(&desk, 211, &payout(SEALED)).await;
    let opened = desk.signer.opened.lock().unwrap();
    let open = &opened[0];
    assert_eq!(open.signed, payout(SEALED).into_bytes(), "exactly the received bytes");
    assert_eq!(open.signature, SIGNATURE);
    assert_eq!(
        (open.signing_serial.as_str(), open.issuer.as_str()),
        ("4000000101", NETWORK)
    );
    assert_eq!(
        (open.encryption_serial.as_str(), open.envelope.as_slice()),
        ("4000000203", b"key".as_slice())
    );
    let kinds: Vec<_> = open.fields.iter().map(|field| field.kind).collect();
    assert_eq!(kinds, [AccountNumber, Name, AccountNumber, Name]);
    let sealed = desk.signer.sealed.lock().unwrap();
    assert_eq!(sealed[0].receiver, NETWORK);
    assert_eq!(sealed[0].fields[3], SEALED.payee_name);
    let posted = desk.books.posted.lock().unwrap();
    assert_eq!(
        posted[0].1.signed,
        payout(SEALED).into_bytes(),
        "the evidence is the received bytes"
    );
    assert_eq!(posted[0].1.signature, SIGNATURE);
}

#[tokio::test]
async fn answers_repeat_their_request() {
    let desk = desk(StandInSigner::default(), StandInBooks::default());
    let Reply::Signed(signed) = send(&desk, framed(&payment()), lines(201)).await else {
        panic!("signed")
    };
    let (header, Answer::Transfer(answer)) = read(&signed.body) else {
        panic!("a 206")
    };
    assert_eq!(header.sent_at.to_string(), "2026-03-02T10:00:01");
    assert_eq!(answer.outcome.rp_flag.unwrap().as_str(), "1");
    assert_eq!(answer.outcome.id.as_str(), TRANSFER);
    assert_eq!(answer.outcome.batch.as_str(), "B202603020001");
    assert_eq!(answer.outcome.amount.to_string(), "CNY518.17");
    assert_eq!(answer.outcome.institution.as_str(), INSTITUTION);

    let Reply::Signed(signed) = send(&desk, framed(&payout(SEALED)), lines(211)).await else {
        panic!("signed")
    };
    let (header, Answer::Payout(answer)) = read(&signed.body) else {
        panic!("a 213")
    };
    assert_eq!(
        header.envelope.unwrap().encryption_serial,
        "4000000111",
        "the receiver's key"
    );
    let fields = answer.request.sensitive();
    assert_eq!(fields.len(), 4);
    let (field, text) = fields[3];
    assert_eq!(field, SensitiveField::PyeeBkNm);
    assert_eq!(text.0, b"again payee name");
}
