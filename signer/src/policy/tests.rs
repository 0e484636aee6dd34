//! Tables of callers: who is recognised, what each may do, which tables are refused.

use operations::endpoint::TlsAddress;
use operations::peer::{TlsPeer, UnixPeer};

use super::*;

const OWN_USER: u32 = 1000;
const CLEARING: u32 = 1001;
const ROOT: u32 = 0;

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    caller: Vec<CallerEntry>,
}

fn unix() -> Endpoint {
    Endpoint::unix("/run/signer.sock")
}

fn tcp() -> Endpoint {
    Endpoint::Tcp(TlsAddress {
        address: ([127, 0, 0, 1], 7001).into(),
        certificate: "c".into(),
        private_key: "k".into(),
        peer_ca: "p".into(),
        server_name: "signer".to_owned(),
    })
}

fn read(listen: &Endpoint, text: &str) -> Result<Policy, String> {
    let written: Written = toml::from_str(text).map_err(|refusal| refusal.to_string())?;
    let around = Surroundings {
        listen,
        own_user: OWN_USER,
        user_named: &|name| (name == "clearing").then_some(CLEARING),
    };
    Policy::new(&written.caller, &around).map_err(|fault| fault.to_string())
}

fn user(user: u32) -> PeerIdentity {
    PeerIdentity::Unix(UnixPeer {
        user,
        group: 0,
        process: None,
    })
}

fn certificate(first_byte: u8, dns_names: &[&str]) -> PeerIdentity {
    let mut fingerprint = [0; 32];
    fingerprint[0] = first_byte;
    PeerIdentity::Tls(TlsPeer {
        fingerprint: Fingerprint(fingerprint),
        common_name: Some("never looked at".to_owned()),
        dns_names: dns_names.iter().map(ToString::to_string).collect(),
    })
}

fn rights_of(caller: &Caller) -> Vec<&'static str> {
    let has = Right::ALL.into_iter().filter(|right| caller.may(*right).is_ok());
    has.map(Right::name).collect()
}

#[test]
fn without_tables_the_own_user_may_all_but_reveal() {
    let policy = read(&unix(), "").unwrap();
    let owner = policy.caller(&user(OWN_USER)).unwrap();
    assert_eq!(&**owner.name(), "owner");
    assert_eq!(
        rights_of(owner),
        ["open", "seal", "sign", "tokenise", "health", "administer"]
    );
    assert_eq!(
        owner.may_reveal(FieldKind::Mobile),
        Err(Forbidden::Right(Right::Reveal))
    );
    assert_eq!(owner.may_use("4B42", Right::Sign), Ok(()));
    for stranger in [user(ROOT), user(CLEARING), certificate(0, &["signer"])] {
        assert!(policy.caller(&stranger).is_none(), "{stranger}");
    }
    assert_eq!(policy.audience(), Audience::Owner);
}

#[test]
fn the_first_table_that_recognises_decides_alone() {
    #[track_caller]
    fn check(listen: &Endpoint, text: &str, peer: &PeerIdentity, expected: Option<&str>) {
        let policy = read(listen, text).unwrap();
        let found = policy.caller(peer).map(|caller| {
            let rights = rights_of(caller).join(",");
            format!("{}: {rights}", caller.name())
        });
        assert_eq!(found.as_deref(), expected);
    }
    let two = "[[caller]]\nname = \"a\"\nunix_user = \"clearing\"\nmay = [\"open\"]\n\
               [[caller]]\nname = \"b\"\nunix_user = 1001\nmay = [\"open\", \"sign\"]\n\
               [[caller]]\nname = \"c\"\nunix_user = 1002\nmay = []\n";
    check(&unix(), two, &user(CLEARING), Some("a: open"));
    check(&unix(), two, &user(1002), Some("c: "));
    check(&unix(), two, &user(OWN_USER), None);
    check(&unix(), two, &user(ROOT), None);
    let fingerprint = format!("AB{}", "00".repeat(31));
    let certificates = format!(
        "[[caller]]\nname = \"by-print\"\ncertificate_sha256 = \"{fingerprint}\"\nmay = [\"health\"]\n\
         [[caller]]\nname = \"by-name\"\ncertificate_name = \"Frontend.Bank\"\nmay = [\"seal\"]\n"
    );
    let check = |peer: &PeerIdentity, expected| check(&tcp(), &certificates, peer, expected);
    check(&certificate(0xab, &[]), Some("by-print: health"));
    check(&certificate(0xab, &["frontend.bank"]), Some("by-print: health"));
    check(&certificate(1, &["other.bank", "frontend.bank"]), Some("by-name: seal"));
    check(&certificate(1, &["frontend.bank.other"]), None);
    check(&user(OWN_USER), None);
}

#[test]
fn keys_and_kinds_narrow_a_right() {
    let text = "[[caller]]\nname = \"sms\"\nunix_user = 1001\nmay = [\"reveal\", \"sign\"]\n\
                keys = [\"004b42\", \"77\"]\nreveal_kinds = [\"mobile\"]\n";
    let policy = read(&unix(), text).unwrap();
    let sms = policy.caller(&user(CLEARING)).unwrap();
    assert_eq!(sms.may_use("4B42", Right::Sign), Ok(()));
    assert_eq!(sms.may_use("4B43", Right::Sign), Err(Forbidden::Key(Right::Sign)));
    assert_eq!(sms.may_reveal(FieldKind::Mobile), Ok(()));
    for kind in [FieldKind::AccountNumber, FieldKind::Name, FieldKind::DocumentNumber] {
        assert_eq!(sms.may_reveal(kind), Err(Forbidden::Kind));
    }
    assert_eq!(sms.may(Right::Open), Err(Forbidden::Right(Right::Open)));
    assert_eq!(policy.audience(), Audience::Everybody);
    let none = text.replace("[\"004b42\", \"77\"]", "[]");
    let policy = read(&unix(), &none).unwrap();
    let sms = policy.caller(&user(CLEARING)).unwrap();
    assert!(sms.may_use("4B42", Right::Sign).is_err(), "an empty list is no key");
}

#[test]
fn refusals_name_the_right_and_no_value() {
    #[track_caller]
    fn check(forbidden: Forbidden, expected: &str) {
        assert_eq!(forbidden.to_string(), expected);
    }
    check(
        Forbidden::Right(Right::Administer),
        "the caller has not the right to administer",
    );
    check(
        Forbidden::Key(Right::Seal),
        "the caller has not the right to seal with this key",
    );
    check(
        Forbidden::Kind,
        "the caller has not the right to reveal fields of this kind",
    );
}

#[test]
fn tables_that_are_refused() {
    #[track_caller]
    fn check(listen: &Endpoint, body: &str, expected: &str) {
        let text = if body.is_empty() {
            String::new()
        } else {
            format!("[[caller]]\n{body}")
        };
        let said = read(listen, &text).map_or_else(|fault| fault, |_| "read".to_owned());
        assert!(said.contains(expected), "{said}");
    }
    let over_unix = |body: &str, expected: &str| check(&unix(), body, expected);
    over_unix("name = \"a\"\nunix_user = 1\nmay = [\"open\"]", "read");
    check(&tcp(), "", "over TCP nobody is served");
    check(
        &tcp(),
        "name = \"a\"\nunix_user = 1\nmay = []",
        "caller a: a Unix socket knows users",
    );
    over_unix(
        "name = \"a\"\ncertificate_name = \"b\"\nmay = []",
        "caller a: a Unix socket knows users",
    );
    over_unix("name = \"a\"\nmay = []", "caller a: name exactly one of");
    over_unix(
        "name = \"a\"\nunix_user = 1\ncertificate_name = \"b\"\nmay = []",
        "caller a: name exactly one of",
    );
    check(
        &tcp(),
        "name = \"a\"\ncertificate_name = \"\"\nmay = []",
        "caller a: name exactly one of",
    );
    check(
        &tcp(),
        "name = \"a\"\ncertificate_sha256 = \"ab\"\nmay = []",
        "caller a: a fingerprint is 64 hexadecimal digits",
    );
    over_unix(
        "name = \"a\"\nunix_user = \"nobody-here\"\nmay = []",
        "caller a: there is no user nobody-here",
    );
    for name in ["", "a b", "a\\n", "signer", "unknown", &"x".repeat(65)] {
        let body = format!("name = \"{name}\"\nunix_user = 1\nmay = []");
        over_unix(&body, "a caller's name is 1 to 64");
    }
    over_unix(
        "name = \"a\"\nunix_user = 1\nmay = []\n[[caller]]\nname = \"a\"\nunix_user = 2\nmay = []",
        "caller a stands there twice",
    );
    over_unix(
        "name = \"a\"\nunix_user = 1\nmay = [\"reveal\"]",
        "caller a: the right to reveal needs reveal_kinds",
    );
    over_unix(
        "name = \"a\"\nunix_user = 1\nmay = [\"open\"]\nreveal_kinds = [\"name\"]",
        "caller a: the right to reveal needs",
    );
    over_unix(
        "name = \"a\"\nunix_user = 1\nmay = [\"everything\"]",
        "unknown variant `everything`",
    );
    over_unix("name = \"a\"\nunix_user = -1\nmay = []", "did not match any variant");
    over_unix("name = \"a\"\nuid = 1\nmay = []", "unknown field `uid`");
    over_unix("name = \"a\"\nunix_user = 1", "missing field `may`");
}

#[test]
fn there_is_a_bound_to_callers() {
    let table = |number: usize| format!("[[caller]]\nname = \"c{number}\"\nunix_user = {number}\nmay = []\n");
    let text: String = (0..=CALLERS_MAX).map(table).collect();
    assert_eq!(read(&unix(), &text).unwrap_err(), PolicyFault::TooMany.to_string());
}
