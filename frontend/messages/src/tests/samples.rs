//! One fully filled message of every kind.

use std::fmt::Debug;
use std::str::FromStr;

use ledger_model::TransferStatus;

use crate::*;

pub(crate) fn of<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "it fills optional fields")]
fn some<T: FromStr<Err: Debug>>(text: &str) -> Option<T> {
    Some(of(text))
}

pub(crate) fn request_header(request: &Request) -> MessageHeader {
    let sealed = !request.sensitive().is_empty();
    MessageHeader {
        sent_at: of("2026-03-02T10:00:00"),
        message_type: request.message_type(),
        issuer: of("G4000311000018"),
        direction: Direction::from_code("22").unwrap(),
        signing_serial: "4000000101".to_owned(),
        envelope: sealed.then(|| Envelope {
            encryption_serial: "4000000202".to_owned(),
            sealed_key: (0..=112).collect(),
        }),
    }
}

pub(crate) fn answer_header(answer: &Answer) -> MessageHeader {
    let sealed = matches!(answer, Answer::Payout(_));
    MessageHeader {
        sent_at: of("2026-03-02T10:00:01"),
        message_type: answer.message_type(),
        issuer: of("C1030131001234"),
        direction: Direction::from_code("12").unwrap(),
        signing_serial: "4000000201".to_owned(),
        envelope: sealed.then(|| Envelope {
            encryption_serial: "4000000102".to_owned(),
            sealed_key: (0..=112).rev().collect(),
        }),
    }
}

pub(crate) fn requests() -> [Request; 5] {
    let by_agreement = PayoutRequest {
        payee: PayoutPayee {
            account: PayoutPayeeAccount::Agreement(of("1030000000000000428")),
            ..payout().payee
        },
        payer: PayoutPayer {
            account: None,
            name: None,
            ..payout().payer
        },
        ..payout()
    };
    [
        Request::Payment(payment()),
        Request::Refund(refund()),
        Request::Payout(payout()),
        Request::Payout(by_agreement),
        Request::Query(query()),
    ]
}

pub(crate) fn payment() -> PaymentRequest {
    PaymentRequest {
        payer: PaymentPayer {
            institution: of("C1030131001234"),
            account_type: Some(AccountType::PERSONAL_DEBIT),
            agreement: of("1030000000000000428"),
            terminal_type: some("08"),
            terminal_number: some("A1B2C3D4"),
        },
        rp_flag: some("01"),
        payee: PaymentPayee {
            institution: of("Z2000133000019"),
            account: some("800100001"),
            name: some("<小店> & \"Söhne\""),
            account_type: Some(AccountType::CORPORATE_PAYMENT),
            country: some("156"),
            area: some("3301"),
            terminal_type: some("01"),
            terminal_number: some("POS-0001"),
        },
        reserve: reserve(),
        transfer: PaymentTransfer {
            id: of("2026030212345678901234560000001"),
            ordered_at: of("2026-03-02T09:59:58"),
            amount: of("CNY518.17"),
            category: of("0110"),
            business_type: some("100001"),
            account_input: some("01"),
        },
        order: Order {
            id: some("ORDER-20260302-1"),
            description: some("two books"),
            platform: some("A Shop"),
        },
        batch: of("B202603020001"),
        device: some("{S:\"ip\":'10.0.0.1'}"),
    }
}

fn reserve() -> ReserveFund {
    ReserveFund {
        account: some("9550880001"),
        name: some("reserve fund"),
        institution: some("G4000311000018"),
    }
}

pub(crate) fn refund() -> RefundRequest {
    RefundRequest {
        payer: RefundPayer {
            institution: of("Z2000133000019"),
            account: some("800100001"),
            account_type: Some(AccountType::CORPORATE_PAYMENT),
        },
        payee: RefundPayee {
            institution: of("C1030131001234"),
            account_type: Some(AccountType::PERSONAL_DEBIT),
            agreement: of("1030000000000000428"),
        },
        reserve: reserve(),
        transfer: RefundTransfer {
            category: of("0121"),
            id: of("2026030212345678901234560000002"),
            ordered_at: of("2026-03-02T10:00:00"),
            amount: of("CNY18.17"),
        },
        original: RefundOriginal {
            id: of("2026030212345678901234560000001"),
            serial: some("202603020300000000000018"),
            amount: of("CNY518.17"),
        },
        batch: of("B202603020001"),
        rp_flag: some("02"),
    }
}

pub(crate) fn payout() -> PayoutRequest {
    let sealed = |first: u8| EncryptedText((first..first + 32).collect());
    PayoutRequest {
        payer_bank: PayoutBank {
            institution: some("C1010111000017"),
            account: some("9550880001"),
            name: some("bank"),
        },
        payer: PayoutPayer {
            institution: of("Z2000133000019"),
            account_type: Some(AccountType::CORPORATE_PAYMENT),
            account: Some(sealed(0)),
            name: Some(sealed(32)),
            merchant: Merchant {
                number: some("M0001"),
                name: some("A Shop Ltd"),
                short_name: some("A Shop"),
            },
        },
        payee: PayoutPayee {
            account_type: Some(AccountType::PERSONAL_DEBIT),
            institution: of("C1030131001234"),
            account: PayoutPayeeAccount::Account {
                number: sealed(64),
                name: sealed(96),
            },
        },
        transfer: PayoutTransfer {
            rp_flag: some("02"),
            category: of("0120"),
            business_type: some("100002"),
            id: of("2026030212345678901234560000003"),
            ordered_at: of("2026-03-02T10:00:00"),
            amount: of("CNY1000.00"),
            batch: of("B202603020002"),
            summary: some("wages"),
            purpose: some("wages of February"),
            terminal_type: some("07"),
            terminal_number: some("T1"),
        },
    }
}

pub(crate) fn query() -> QueryRequest {
    QueryRequest {
        category: of("0110"),
        id: of("2026030212345678901234560000001"),
        ordered_at: of("2026-03-02T09:59:58"),
    }
}

fn system() -> SystemReturn {
    let description = "handled".to_owned();
    SystemReturn {
        code: "00000000".to_owned(),
        description,
        time: of("2026-03-02T10:00:01"),
    }
}

fn business(code: &str) -> BusinessReturn {
    BusinessReturn {
        code: code.to_owned(),
        description: "as <data> & text".to_owned(),
    }
}

fn known() -> KnownTransfer {
    KnownTransfer {
        status: TransferStatus::Success,
        business: Some(business("00000000")),
        serial: Some(SidedSerial::Debtor(of("202603020300000000000018"))),
        batch: some("B202603020001"),
        amount: some("CNY518.17"),
        finished_at: some("2026-03-02T10:00:01"),
    }
}

fn outcome() -> TransferOutcome {
    TransferOutcome {
        rp_flag: some("01"),
        category: of("0110"),
        id: of("2026030212345678901234560000001"),
        amount: of("CNY518.17"),
        batch: of("B202603020001"),
        serial: Some(SidedSerial::Debtor(of("202603020300000000000018"))),
        status: TransferStatus::Failed,
        business: Some(business("PB520011")),
        finished_at: some("2026-03-02T10:00:01"),
        institution: of("Z2000133000019"),
    }
}

/// Each with a name for its golden file.
pub(crate) fn answers() -> [(&'static str, Answer); 8] {
    let unknown = TransferOutcome {
        serial: None,
        status: TransferStatus::InProcess,
        business: None,
        finished_at: None,
        ..outcome()
    };
    let payout_outcome = PayoutOutcome {
        business: Some(business("00000000")),
        finished_at: some("2026-03-02T10:00:01"),
        status: TransferStatus::Success,
    };
    let in_process = KnownTransfer {
        status: TransferStatus::InProcess,
        business: None,
        serial: None,
        batch: None,
        amount: None,
        finished_at: None,
    };
    let query = |original| {
        Answer::Query(QueryAnswer {
            system: system(),
            original,
        })
    };
    let refused = SystemReturn {
        code: "PS500022".to_owned(),
        description: String::new(),
        ..system()
    };
    [
        (
            "206-refused",
            Answer::Transfer(TransferAnswer {
                system: system(),
                outcome: outcome(),
            }),
        ),
        (
            "206-in-process",
            Answer::Transfer(TransferAnswer {
                system: system(),
                outcome: unknown,
            }),
        ),
        (
            "213",
            Answer::Payout(PayoutAnswer {
                system: system(),
                outcome: payout_outcome,
                request: payout(),
            }),
        ),
        ("302-known", query(Some(OriginalOutcome::Known(known())))),
        ("302-in-process", query(Some(OriginalOutcome::Known(in_process)))),
        (
            "302-not-found",
            query(Some(OriginalOutcome::NotFound(business("PB530001")))),
        ),
        ("302-not-answered", query(None)),
        ("303", Answer::General(GeneralAnswer { system: refused })),
    ]
}
