//! What is a frame and what is not.

use crate::{Construct, FrameFault, split};

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
const ROOT: &str = r#"<root xmlns="a>b"><MsgHeader/><MsgBody><A>1 > 0 &lt;/root&gt;</A></MsgBody></root>"#;
const SIGNATURE: &str = "{S:AQID}";

fn check(body: &str, expected: Result<(&str, &[u8]), FrameFault>) {
    check_bytes(body.as_bytes(), expected);
}

fn check_bytes(body: &[u8], expected: Result<(&str, &[u8]), FrameFault>) {
    let split = split(body);
    let found = split
        .as_ref()
        .map(|frame| (std::str::from_utf8(frame.signed()).unwrap(), frame.signature()));
    assert_eq!(
        found.map_err(|fault| *fault),
        expected,
        "{}",
        String::from_utf8_lossy(body)
    );
}

#[test]
fn good_frames() {
    let good = Ok((ROOT, &[1, 2, 3][..]));
    check(&format!("{DECLARATION}{ROOT}{SIGNATURE}"), good);
    check(&format!("{DECLARATION}\r\n{ROOT}\n\t {SIGNATURE}\r\n"), good);
    check(&format!("{DECLARATION}{ROOT}{{S: A\r\nQ I\tD\n}}"), good);
    for declaration in [
        "<?xml version='1.0' encoding='utf-8'?>",
        "<?xml  version = \"1.0\"\n encoding = \"UTF-8\" ?>",
        r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>"#,
        r#"<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>"#,
    ] {
        check(&format!("{declaration}{ROOT}{SIGNATURE}"), good);
    }
}

/// The end of root is the first tag that is `</root>`, wherever else those characters stand.
#[test]
fn the_end_of_root_is_found() {
    let check_root = |root: &str| check(&format!("{DECLARATION}{root}{SIGNATURE}"), Ok((root, &[1, 2, 3])));
    check_root("<root></root>");
    check_root("<root a='/root>'></root>");
    check_root("<root><rootX></rootX><xroot/></root>");
    check_root("<root><a b=\"'>\" c='\">'></a></root>");
    check_root("<root>&lt;/root&gt; /root> root</root>");
}

#[test]
fn declarations() {
    let check_declaration = |declaration: &str, fault| check(&format!("{declaration}{ROOT}{SIGNATURE}"), Err(fault));
    check_declaration("", FrameFault::DeclarationMissing);
    check_declaration(
        r#"<?XML version="1.0" encoding="UTF-8"?>"#,
        FrameFault::DeclarationMissing,
    );
    check_declaration(
        r#" <?xml version="1.0" encoding="UTF-8"?>"#,
        FrameFault::BytesBeforeDeclaration,
    );
    check_declaration(
        r#"x<?xml version="1.0" encoding="UTF-8"?>"#,
        FrameFault::BytesBeforeDeclaration,
    );
    check_declaration(
        "\u{FEFF}<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        FrameFault::ByteOrderMark,
    );
    check_declaration("<?xml?>", FrameFault::DeclarationForm);
    check_declaration(r#"<?xml version="1.1" encoding="UTF-8"?>"#, FrameFault::DeclarationForm);
    check_declaration(r#"<?xml version="1.0"?>"#, FrameFault::DeclarationForm);
    check_declaration(r#"<?xml encoding="UTF-8" version="1.0"?>"#, FrameFault::DeclarationForm);
    check_declaration(
        r#"<?xml version="1.0" encoding="UTF-8" more="x"?>"#,
        FrameFault::DeclarationForm,
    );
    check_declaration(
        r#"<?xml version="1.0" encoding="UTF-8" standalone="maybe"?>"#,
        FrameFault::DeclarationForm,
    );
    check_declaration(r#"<?xml version="1.0" encoding="UTF-8""#, FrameFault::DeclarationForm);
    check_declaration(r#"<?xml version="1.0"encoding="UTF-8"?>"#, FrameFault::DeclarationForm);
    check_declaration(r#"<?xml version="1.0" encoding=UTF-8?>"#, FrameFault::DeclarationForm);
    check_declaration(
        r#"<?xml version="1.0" encoding="GBK"?>"#,
        FrameFault::DeclarationCharset,
    );
    check_declaration(
        r#"<?xml version="1.0" encoding="UTF-16"?>"#,
        FrameFault::DeclarationCharset,
    );
    check_bytes(
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\xC0\xAF",
        Err(FrameFault::NotUtf8),
    );
    check_bytes(b"\xFF\xFE<\0?\0x\0m\0l\0", Err(FrameFault::NotUtf8));
}

#[test]
fn what_stands_around_root() {
    let check_rest = |rest: &str, fault| check(&format!("{DECLARATION}{rest}"), Err(fault));
    let doctype = r#"<!DOCTYPE root [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>"#;
    check_rest("", FrameFault::RootMissing);
    check_rest("garbage", FrameFault::RootMissing);
    check_rest(&format!("x{ROOT}{SIGNATURE}"), FrameFault::RootMissing);
    check_rest(&format!("<rootX></rootX>{SIGNATURE}"), FrameFault::RootMissing);
    check_rest(&format!("<Root></Root>{SIGNATURE}"), FrameFault::RootMissing);
    check_rest(
        &format!("{doctype}{ROOT}{SIGNATURE}"),
        FrameFault::Forbidden(Construct::Doctype),
    );
    check_rest(
        &format!("<!-- -->{ROOT}{SIGNATURE}"),
        FrameFault::Forbidden(Construct::Comment),
    );
    check_rest(
        &format!("<?pi?>{ROOT}{SIGNATURE}"),
        FrameFault::Forbidden(Construct::ProcessingInstruction),
    );
    check_rest(
        &format!("{DECLARATION}{ROOT}{SIGNATURE}"),
        FrameFault::Forbidden(Construct::ProcessingInstruction),
    );
    check_rest(ROOT, FrameFault::SignatureMissing);
    check_rest(&format!("{ROOT}x{SIGNATURE}"), FrameFault::BytesBeforeSignature);
    check_rest(&format!("{ROOT}</root>{SIGNATURE}"), FrameFault::BytesBeforeSignature);
    check_rest(&format!("{ROOT}{{s:AQID}}"), FrameFault::BytesBeforeSignature);
    check_rest(&format!("{ROOT}{ROOT}{SIGNATURE}"), FrameFault::SecondRoot);
    check_rest(&format!("{ROOT}<root/>{SIGNATURE}"), FrameFault::SecondRoot);
    check_rest(
        &format!("{ROOT}<!-- -->{SIGNATURE}"),
        FrameFault::Forbidden(Construct::Comment),
    );
    check_rest(&format!("{ROOT}{SIGNATURE}x"), FrameFault::BytesAfterSignature);
    check_rest(&format!("{ROOT}{SIGNATURE}\0"), FrameFault::BytesAfterSignature);
    check_rest(&format!("{ROOT}{SIGNATURE}{SIGNATURE}"), FrameFault::SecondSignature);
    check_rest(&format!("{ROOT}{SIGNATURE}\n{{S:}}"), FrameFault::SecondSignature);
    check_rest(&format!("{ROOT}{SIGNATURE}{ROOT}"), FrameFault::SecondRoot);
}

#[test]
fn what_stands_in_root() {
    let check_root = |root: &str, fault| check(&format!("{DECLARATION}{root}{SIGNATURE}"), Err(fault));
    check_root(
        "<root><a><!-- </root> --></a></root>",
        FrameFault::Forbidden(Construct::Comment),
    );
    check_root(
        "<root><a><![CDATA[</root>]]></a></root>",
        FrameFault::Forbidden(Construct::CdataSection),
    );
    check_root("<root><!DOCTYPE a></root>", FrameFault::Forbidden(Construct::Doctype));
    check_root(
        "<root><?pi </root>?></root>",
        FrameFault::Forbidden(Construct::ProcessingInstruction),
    );
    check_root("<root><root></root></root>", FrameFault::SecondRoot);
    check_root("<root><a><root/></a></root>", FrameFault::SecondRoot);
    check_root("<root><a>{S:AQID}</a></root>", FrameFault::SecondSignature);
    check_root("<root a='</root>'></root>", FrameFault::TagForm);
    check_root("<root><a <b></root>", FrameFault::TagForm);
    check_root("<root/>", FrameFault::RootUnclosed);
    check_root("<root></root >", FrameFault::RootUnclosed);
    check_root("<root></ROOT>", FrameFault::RootUnclosed);
    check_root("<root a=\"></root>", FrameFault::TagForm);
}

#[test]
fn signatures() {
    let check_signature = |signature: &str, fault| check(&format!("{DECLARATION}{ROOT}{signature}"), Err(fault));
    check_signature("{S:}", FrameFault::SignatureEmpty);
    check_signature("{S: \r\n }", FrameFault::SignatureEmpty);
    check_signature("{S:AQID", FrameFault::SignatureUnclosed);
    check_signature("{S:", FrameFault::SignatureUnclosed);
    check_signature("{S:AQI}", FrameFault::SignatureNotBase64);
    check_signature("{S:AQ=D}", FrameFault::SignatureNotBase64);
    check_signature("{S:AQI*}", FrameFault::SignatureNotBase64);
    check_signature("{S:AQ-_}", FrameFault::SignatureNotBase64);
    check_signature("{S:AQI\u{a0}D}", FrameFault::SignatureNotBase64);
    check_signature("{S:{S:AQID}}", FrameFault::SignatureNotBase64);
    check_signature("{S:AQ==AQ==}", FrameFault::SignatureNotBase64);
}

/// Cut off anywhere, it is no frame; nothing but white space after the signature may be missing.
#[test]
fn truncated_frames() {
    let body = format!("{DECLARATION}{ROOT}{SIGNATURE}");
    for length in 0..body.len() {
        assert!(split(&body.as_bytes()[..length]).is_err(), "{length}");
    }
}

#[test]
fn which_faults_leave_no_frame_at_all() {
    assert!(split(b"not XML").unwrap_err().is_not_a_frame());
    assert!(split(b"").unwrap_err().is_not_a_frame());
    assert!(
        !split(format!("{DECLARATION}{ROOT}").as_bytes())
            .unwrap_err()
            .is_not_a_frame()
    );
}
