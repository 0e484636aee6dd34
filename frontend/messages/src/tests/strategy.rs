//! Values of every message kind, as far as the default profile allows them.

use ledger_model::{Amount, ChinaTime, Currency, InstitutionId, TransferId, TransferKind, TransferStatus};
use proptest::collection::vec;
use proptest::option::of as maybe;
use proptest::prelude::*;
use proptest::sample::select;

use super::samples::of;
use crate::*;

fn text(characters_max: usize) -> impl Strategy<Value = Option<Text>> {
    let character = prop_oneof![
        4 => proptest::char::range(' ', '~'),
        1 => select(vec!['&', '<', '>', '"', '\'', '{', ']', ';']),
        1 => any::<char>().prop_filter("may stand in a text", |c| crate::field::may_stand_in_text(*c)),
    ];
    maybe(vec(character, 1..=characters_max).prop_map(|characters| of(&characters.into_iter().collect::<String>())))
}

fn description() -> impl Strategy<Value = String> {
    text(128).prop_map(|text| text.map_or_else(String::new, |text| text.to_string()))
}

fn time() -> impl Strategy<Value = ChinaTime> {
    (0..=253_402_271_999_i64).prop_map(|seconds| ChinaTime::from_unix_seconds(seconds).unwrap())
}

fn amount() -> impl Strategy<Value = Amount> {
    (1..=999_999_999_999_999_999_i64).prop_map(|minor| Amount::new(minor, Currency::CNY).unwrap())
}

fn institution() -> impl Strategy<Value = InstitutionId> {
    "[CZG][0-9A-Z]{13}".prop_map(|text| of(&text))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>(
    pattern: &'static str,
) -> impl Strategy<Value = T> {
    pattern.prop_map(|text| of(&text))
}

fn account_type() -> impl Strategy<Value = Option<AccountType>> {
    maybe(select(Profile::default().account_types))
}

fn encrypted() -> impl Strategy<Value = EncryptedText> {
    vec(any::<u8>(), 1..100).prop_map(EncryptedText)
}

fn id_and_time() -> impl Strategy<Value = (TransferId, ChinaTime)> {
    ("[0-9A-Za-z]{17}[0-9]{6}", time()).prop_map(|(rest, time)| (of(&format!("{}{rest}", time.date().compact())), time))
}

fn id() -> impl Strategy<Value = TransferId> {
    id_and_time().prop_map(|(id, _)| id)
}

fn batch() -> impl Strategy<Value = ledger_model::BatchId> {
    (time(), 0..=9_999_u16).prop_map(|(time, number)| of(&format!("B{}{number:04}", time.date().compact())))
}

/// Always with an envelope, so that it fits any message.
pub(crate) fn header(direction: &'static str) -> impl Strategy<Value = MessageHeader> {
    (
        time(),
        institution(),
        "[0-9A-Za-z]{1,40}",
        "[0-9A-Za-z]{1,40}",
        vec(any::<u8>(), 1..200),
    )
        .prop_map(
            move |(sent_at, issuer, signing_serial, encryption_serial, sealed_key)| MessageHeader {
                sent_at,
                message_type: MessageType::M303,
                issuer,
                direction: Direction::from_code(direction).unwrap(),
                signing_serial,
                envelope: Some(Envelope {
                    encryption_serial,
                    sealed_key,
                }),
            },
        )
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        payment().prop_map(Request::Payment),
        refund().prop_map(Request::Refund),
        payout().prop_map(Request::Payout),
        query().prop_map(Request::Query),
    ]
}

fn reserve() -> impl Strategy<Value = ReserveFund> {
    (text(64), text(128), maybe(institution())).prop_map(|(account, name, institution)| ReserveFund {
        account,
        name,
        institution,
    })
}

fn payment() -> impl Strategy<Value = PaymentRequest> {
    let from = (
        institution(),
        account_type(),
        parsed("[0-9A-Z]{1,34}"),
        text(4),
        text(64),
    )
        .prop_map(
            |(institution, account_type, agreement, terminal_type, terminal_number)| PaymentPayer {
                institution,
                account_type,
                agreement,
                terminal_type,
                terminal_number,
            },
        );
    let to = (
        institution(),
        text(64),
        text(128),
        account_type(),
        text(3),
        text(8),
        text(4),
        text(64),
    )
        .prop_map(
            |(institution, account, name, account_type, country, area, terminal_type, terminal_number)| PaymentPayee {
                institution,
                account,
                name,
                account_type,
                country,
                area,
                terminal_type,
                terminal_number,
            },
        );
    let categories = Profile::default().categories.payment;
    let transfer = (id_and_time(), amount(), select(categories), text(8), text(8)).prop_map(
        |((id, ordered_at), amount, category, business_type, account_input)| PaymentTransfer {
            id,
            ordered_at,
            amount,
            category,
            business_type,
            account_input,
        },
    );
    let order = (text(64), text(256), text(128)).prop_map(|(id, description, platform)| Order {
        id,
        description,
        platform,
    });
    (from, text(4), to, reserve(), transfer, order, batch(), text(512)).prop_map(
        |(payer, rp_flag, payee, reserve, transfer, order, batch, device)| PaymentRequest {
            payer,
            rp_flag,
            payee,
            reserve,
            transfer,
            order,
            batch,
            device,
        },
    )
}

fn refund() -> impl Strategy<Value = RefundRequest> {
    let from = (institution(), text(64), account_type()).prop_map(|(institution, account, account_type)| RefundPayer {
        institution,
        account,
        account_type,
    });
    let to =
        (institution(), account_type(), parsed("[0-9A-Z]{1,34}")).prop_map(|(institution, account_type, agreement)| {
            RefundPayee {
                institution,
                account_type,
                agreement,
            }
        });
    let transfer = (select(Profile::default().categories.refund), id_and_time(), amount()).prop_map(
        |(pair, (id, ordered_at), amount)| RefundTransfer {
            category: pair.refund,
            id,
            ordered_at,
            amount,
        },
    );
    let original = (id(), maybe(parsed("[0-9A-Za-z]{1,32}")), amount())
        .prop_map(|(id, serial, amount)| RefundOriginal { id, serial, amount });
    (from, to, reserve(), transfer, original, batch(), text(4)).prop_map(
        |(payer, payee, reserve, transfer, original, batch, rp_flag)| RefundRequest {
            payer,
            payee,
            reserve,
            transfer,
            original,
            batch,
            rp_flag,
        },
    )
}

fn payout() -> impl Strategy<Value = PayoutRequest> {
    let payer_bank = (maybe(institution()), text(64), text(128)).prop_map(|(institution, account, name)| PayoutBank {
        institution,
        account,
        name,
    });
    let merchant = (text(32), text(128), text(128)).prop_map(|(number, name, short_name)| Merchant {
        number,
        name,
        short_name,
    });
    let from = (
        institution(),
        account_type(),
        maybe(encrypted()),
        maybe(encrypted()),
        merchant,
    )
        .prop_map(|(institution, account_type, account, name, merchant)| PayoutPayer {
            institution,
            account_type,
            account,
            name,
            merchant,
        });
    let account = prop_oneof![
        parsed("[0-9A-Z]{1,34}").prop_map(PayoutPayeeAccount::Agreement),
        (encrypted(), encrypted()).prop_map(|(number, name)| PayoutPayeeAccount::Account { number, name }),
    ];
    let to = (account_type(), institution(), account).prop_map(|(account_type, institution, account)| PayoutPayee {
        account_type,
        institution,
        account,
    });
    (payer_bank, from, to, payout_transfer()).prop_map(|(payer_bank, payer, payee, transfer)| PayoutRequest {
        payer_bank,
        payer,
        payee,
        transfer,
    })
}

fn payout_transfer() -> impl Strategy<Value = PayoutTransfer> {
    let category = select(Profile::default().categories.payout);
    let texts = (text(4), text(8), text(256), text(256), text(4), text(64));
    (category, id_and_time(), amount(), batch(), texts).prop_map(
        |(category, (id, ordered_at), amount, batch, texts)| {
            let (rp_flag, business_type, summary, purpose, terminal_type, terminal_number) = texts;
            PayoutTransfer {
                rp_flag,
                category,
                business_type,
                id,
                ordered_at,
                amount,
                batch,
                summary,
                purpose,
                terminal_type,
                terminal_number,
            }
        },
    )
}

fn query() -> impl Strategy<Value = QueryRequest> {
    (parsed("[0-9]{4}"), id(), time()).prop_map(|(category, id, ordered_at)| QueryRequest {
        category,
        id,
        ordered_at,
    })
}

pub(crate) fn answer() -> impl Strategy<Value = Answer> {
    let transfer = (system(), transfer_outcome())
        .prop_map(|(system, outcome)| Answer::Transfer(TransferAnswer { system, outcome }));
    let outcome =
        (maybe(business()), maybe(time()), status()).prop_map(|(business, finished_at, status)| PayoutOutcome {
            business,
            finished_at,
            status,
        });
    let payout = (system(), outcome, payout()).prop_map(|(system, outcome, request)| {
        Answer::Payout(PayoutAnswer {
            system,
            outcome,
            request,
        })
    });
    let original = prop_oneof![
        business().prop_map(OriginalOutcome::NotFound),
        known().prop_map(OriginalOutcome::Known),
    ];
    let query =
        (system(), maybe(original)).prop_map(|(system, original)| Answer::Query(QueryAnswer { system, original }));
    prop_oneof![
        transfer,
        payout,
        query,
        system().prop_map(|system| Answer::General(GeneralAnswer { system }))
    ]
}

fn system() -> impl Strategy<Value = SystemReturn> {
    ("[0-9A-Z]{8}", description(), time()).prop_map(|(code, description, time)| SystemReturn {
        code,
        description,
        time,
    })
}

fn business() -> impl Strategy<Value = BusinessReturn> {
    ("[0-9A-Z]{8}", description()).prop_map(|(code, description)| BusinessReturn { code, description })
}

fn status() -> impl Strategy<Value = TransferStatus> {
    select(vec![
        TransferStatus::Success,
        TransferStatus::Failed,
        TransferStatus::InProcess,
    ])
}

fn serial() -> impl Strategy<Value = SidedSerial> {
    (select(TransferKind::ALL.to_vec()), parsed("[0-9A-Za-z]{1,32}"))
        .prop_map(|(kind, serial)| SidedSerial::of(kind, serial))
}

fn known() -> impl Strategy<Value = KnownTransfer> {
    (
        status(),
        maybe(business()),
        maybe(serial()),
        maybe(batch()),
        maybe(amount()),
        maybe(time()),
    )
        .prop_map(|(status, business, serial, batch, amount, finished_at)| KnownTransfer {
            status,
            business,
            serial,
            batch,
            amount,
            finished_at,
        })
}

fn transfer_outcome() -> impl Strategy<Value = TransferOutcome> {
    let of_request = (text(4), parsed("[0-9]{4}"), id(), amount(), batch(), institution());
    (of_request, maybe(serial()), status(), maybe(business()), maybe(time())).prop_map(
        |((rp_flag, category, id, amount, batch, institution), serial, status, business, finished_at)| {
            TransferOutcome {
                rp_flag,
                category,
                id,
                amount,
                batch,
                serial,
                status,
                business,
                finished_at,
                institution,
            }
        },
    )
}
