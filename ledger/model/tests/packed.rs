//! Packed values: bytes that are not one are refused, tags are distinct.

use ledger_model::{
    AgreementNumber, Amount, BusinessDate, ChinaTime, Decision, Money, Packed, Refusal, Side, UnpackFault, Unpacker,
};

#[test]
fn what_is_not_a_value_is_refused() {
    fn check<T: Packed + std::fmt::Debug + PartialEq>(bytes: &[u8], expected: UnpackFault) {
        assert_eq!(Unpacker::new(bytes).take::<T>(), Err(expected), "{bytes:?}");
    }
    check::<u64>(&[0; 7], UnpackFault::CutShort);
    check::<Amount>(b"\0\0\0\0\0\0\0\0CNY", UnpackFault::Form { what: "amount" });
    check::<Money>(b"\0\0\0\0\0\0\0\0cny", UnpackFault::Form { what: "currency" });
    check::<AgreementNumber>(
        b"\x02A-",
        UnpackFault::Form {
            what: "agreement number",
        },
    );
    check::<AgreementNumber>(
        b"\0",
        UnpackFault::Form {
            what: "agreement number",
        },
    );
    check::<Side>(&[3], UnpackFault::UnknownTag { what: "side", tag: 3 });
    check::<Decision>(
        &[25],
        UnpackFault::UnknownTag {
            what: "refusal",
            tag: 25,
        },
    );
    check::<Option<Side>>(
        &[2],
        UnpackFault::UnknownTag {
            what: "presence mark",
            tag: 2,
        },
    );
    check::<Vec<Side>>(&[255, 255, 255, 255, 1], UnpackFault::CutShort);
    check::<BusinessDate>(&20_260_230_u32.to_be_bytes(), UnpackFault::Form { what: "date" });
    check::<ChinaTime>(&(i64::MIN).to_be_bytes(), UnpackFault::Form { what: "time" });
}

#[test]
fn every_refusal_has_its_own_tag() {
    for refusal in Refusal::ALL {
        let mut bytes = Vec::new();
        refusal.pack(&mut bytes);
        let mut input = Unpacker::new(&bytes);
        assert_eq!(input.take(), Ok(Decision::Refused(refusal)));
        assert_eq!(input.finish(), Ok(()));
    }
}

#[test]
fn every_time_of_the_wire_packs() {
    for text in [
        "0000-01-01T00:00:00",
        "1969-12-31T23:59:59",
        "2026-03-02T10:00:00",
        "9999-12-31T23:59:59",
    ] {
        let time: ChinaTime = text.parse().unwrap();
        let mut bytes = Vec::new();
        time.pack(&mut bytes);
        assert_eq!(Unpacker::new(&bytes).take(), Ok(time), "{text}");
    }
}
